/* The CUDA runtime of a pretended GPU: libcudart. */
#include <cuda_runtime_api.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

static cudaError_t alive(void) { return pretended_lost() ? cudaErrorLaunchFailure : cudaSuccess; }

static cudaError_t launched(void) {
    counts.kernels++;
    return alive();
}

cudaError_t cudaGetDevice(int *device) { *device = pretended_current_gpu(); return cudaSuccess; }
cudaError_t cudaGetDeviceCount(int *count) { *count = pretended_gpus(); return cudaSuccess; }
cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
    *value = pretended_attribute((int)attribute);
    return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *found, int device) {
    memset(found, 0, sizeof *found);
    strcpy(found->name, NAME);
    found->totalGlobalMem = MEMORY_BYTES;
    found->major = 9;
    found->warpSize = pretended_attribute(cudaDevAttrWarpSize);
    found->multiProcessorCount = pretended_attribute(cudaDevAttrMultiProcessorCount);
    found->maxThreadsPerBlock = pretended_attribute(cudaDevAttrMaxThreadsPerBlock);
    found->maxThreadsPerMultiProcessor = pretended_attribute(cudaDevAttrMaxThreadsPerMultiProcessor);
    found->sharedMemPerBlock = (size_t)pretended_attribute(cudaDevAttrMaxSharedMemoryPerBlock);
    found->sharedMemPerBlockOptin = (size_t)pretended_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
    found->sharedMemPerMultiprocessor = (size_t)pretended_attribute(cudaDevAttrMaxSharedMemoryPerMultiprocessor);
    found->regsPerBlock = found->regsPerMultiprocessor = pretended_attribute(cudaDevAttrMaxRegistersPerBlock);
    found->maxThreadsDim[0] = found->maxThreadsDim[1] = 1024, found->maxThreadsDim[2] = 64;
    found->maxGridSize[0] = 2147483647, found->maxGridSize[1] = found->maxGridSize[2] = 65535;
    found->unifiedAddressing = 1;
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int *version) { *version = 12050; return cudaSuccess; }
cudaError_t cudaDriverGetVersion(int *version) { *version = 13000; return cudaSuccess; }
const char *cudaGetErrorName(cudaError_t error) { return error ? "cudaErrorLaunchFailure" : "cudaSuccess"; }
const char *cudaGetErrorString(cudaError_t error) { return error ? "unspecified launch failure" : "no error"; }
cudaError_t cudaGetLastError(void) { return alive(); }
cudaError_t cudaPeekAtLastError(void) { return alive(); }

cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *found, const void *function) {
    memset(found, 0, sizeof *found);
    found->maxThreadsPerBlock = 1024;
    return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *function, int threads,
                                                          size_t shared) {
    *blocks = 2;
    return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, const void *function, int threads,
                                                                   size_t shared, unsigned flags) {
    *blocks = 2;
    return cudaSuccess;
}

cudaError_t cudaLaunchKernel(const void *function, dim3 grid, dim3 block, void **arguments, size_t shared,
                             cudaStream_t stream) {
    return launched();
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *configuration, const void *function, void **arguments) {
    return launched();
}
/* What nvcc puts into every program: a launch is prepared and taken up again, and its code is registered. */
cudaError_t __cudaLaunchKernel(void *kernel, dim3 grid, dim3 block, void **arguments, size_t shared, void *stream) {
    return launched();
}
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, void *stream) { return 0; }
cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void **stream) {
    *grid = *block = (dim3){1, 1, 1};
    *shared = 0, *stream = NULL;
    return cudaSuccess;
}
cudaError_t __cudaGetKernel(void **kernel, const void *function) { *kernel = (void *)function; return cudaSuccess; }
void **__cudaRegisterFatBinary(void *image) {
    static void *handles[4];
    return handles;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream) {
    count_copy(kind == cudaMemcpyHostToDevice ? TO_DEVICE : kind == cudaMemcpyDeviceToHost ? TO_HOST : ON_DEVICE,
               bytes);
    memcpy(to, from, bytes);
    return alive();
}
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind) {
    return cudaMemcpyAsync(to, from, bytes, kind, NULL);
}
cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream) {
    memset(to, value, bytes);
    return alive();
}
cudaError_t cudaMemset(void *to, int value, size_t bytes) { return cudaMemsetAsync(to, value, bytes, NULL); }
cudaError_t cudaMalloc(void **start, size_t bytes) {
    *start = pretended_memory(bytes);
    return *start ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFree(void *start) { pretended_release(start); return cudaSuccess; }
cudaError_t cudaEventCreate(cudaEvent_t *event) { *event = calloc(1, 64); return cudaSuccess; }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) { return cudaEventCreate(event); }
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status) {
    *status = cudaStreamCaptureStatusNone;
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) { counts.waits++; return alive(); }
cudaError_t cudaGetSymbolAddress(void **start, const void *symbol) {
    *start = calloc(1, 4096);
    return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *found, const void *address) {
    int gpu = pretended_gpu_of(address);
    memset(found, 0, sizeof *found);
    found->type = gpu < 0 ? cudaMemoryTypeHost : cudaMemoryTypeDevice;
    found->device = gpu < 0 ? 0 : gpu;
    return cudaSuccess;
}
