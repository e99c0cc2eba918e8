/* Streams, events and kernels of a pretended GPU: libcuda. All is done when a call returns; kernels do nothing. */
#include <stdlib.h>

#include "driver.h"

CUresult cuStreamCreate(CUstream *stream, unsigned flags) { *stream = pretended_handle(); return CUDA_SUCCESS; }
CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned flags, int priority) {
    *stream = pretended_handle();
    return CUDA_SUCCESS;
}
CUresult cuStreamGetCtx(CUstream stream, CUcontext *context) { return (cuCtxGetCurrent)(context); }
CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *status) {
    *status = CU_STREAM_CAPTURE_STATUS_NONE;
    return CUDA_SUCCESS;
}
CUresult cuStreamSynchronize(CUstream stream) { counts.waits++; return pretended_alive(); }
CUresult cuStreamQuery(CUstream stream) { return pretended_alive(); }
CUresult cuEventCreate(CUevent *event, unsigned flags) { *event = pretended_handle(); return CUDA_SUCCESS; }
CUresult cuEventQuery(CUevent event) { return pretended_alive(); }
CUresult cuEventSynchronize(CUevent event) { counts.waits++; return pretended_alive(); }
CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent stop) {
    *milliseconds = 0.1f;
    return CUDA_SUCCESS;
}
CUresult cuLaunchHostFunc(CUstream stream, CUhostFn function, void *data) { function(data); return CUDA_SUCCESS; }
CUresult cuStreamAddCallback(CUstream stream, CUstreamCallback function, void *data, unsigned flags) {
    function(stream, CUDA_SUCCESS, data);
    return CUDA_SUCCESS;
}

/* Kernels */

CUresult cuModuleLoadData(CUmodule *module, const void *image) { *module = pretended_handle(); return CUDA_SUCCESS; }
CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count, CUjit_option *options, void **values) {
    *module = pretended_handle();
    return CUDA_SUCCESS;
}
CUresult cuModuleLoadFatBinary(CUmodule *module, const void *image) { *module = pretended_handle(); return CUDA_SUCCESS; }
CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    *function = pretended_handle();
    return CUDA_SUCCESS;
}
CUresult cuModuleGetGlobal(CUdeviceptr *start, size_t *bytes, CUmodule module, const char *name) {
    *start = (CUdeviceptr)calloc(1, 4096);
    if (bytes)
        *bytes = 4096;
    return CUDA_SUCCESS;
}
CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function) {
    *value = 32;
    return CUDA_SUCCESS;
}
CUresult cuLaunchKernel(CUfunction function, unsigned x, unsigned y, unsigned z, unsigned width, unsigned height,
                        unsigned depth, unsigned shared, CUstream stream, void **arguments, void **extra) {
    counts.kernels++;
    return pretended_alive();
}
CUresult cuLaunchKernelEx(const CUlaunchConfig *configuration, CUfunction function, void **arguments, void **extra) {
    counts.kernels++;
    return pretended_alive();
}
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks_, CUfunction function, int threads, size_t shared) {
    *blocks_ = 2;
    return CUDA_SUCCESS;
}
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks_, CUfunction function, int threads,
                                                              size_t shared, unsigned flags) {
    *blocks_ = 2;
    return CUDA_SUCCESS;
}
