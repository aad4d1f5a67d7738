#pragma once
#include "include/pc_kernels.h"

void pc_call_foreign(const void *parameters, const pc_work *work);
