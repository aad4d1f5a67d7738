// PCKernelsCPU
