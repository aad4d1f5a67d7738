// The umbrella: `import PredictiveCoding` brings what a user of the library needs.

@_exported import PCDatasets
@_exported import PCExperiments
@_exported import PCGraphs
@_exported import PCInterchange
@_exported import PCKernels
@_exported import PCKernelsCPU
@_exported import PCLayers
@_exported import PCLearning
@_exported import PCModels
@_exported import PCPlans
@_exported import PCPrimitives
@_exported import PCRandomness
