/* A pretended NVIDIA GPU, for tests on machines without one: libcuda, of which memory.c and streams.c are parts.

   TensorFlow's own GPU runtime runs over it. Device memory is memory of the host, copies are real and counted, and
   kernels, products and convolutions do nothing. So it shows what TensorFlow sees, where things are placed, what is
   copied, what is refused and how a failure is told: never a speed, and never what a kernel would have computed.

   The environment sets it:
     PRETENDED_GPUS              how many there are (1), of which CUDA_VISIBLE_DEVICES shows some
     PRETENDED_MEMORY            bytes of each (80 GiB)
     PRETENDED_FAIL_ALLOCATION   from this allocation of a process on there is no memory left (0: never)
     PRETENDED_LOSE_AT_KERNEL    from this kernel on the GPU is lost (0: never)
     PRETENDED_COPY_MICROSECONDS what each copy between host and GPU takes (0)
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

Counts counts;

static char contexts[MOST_GPUS];
static _Thread_local char *current;

void pretended_counts(long *into) { memcpy(into, &counts, sizeof counts); }

long pretended_setting(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text && *text ? atol(text) : otherwise;
}

int pretended_gpus_of_machine(void) {
    long asked = pretended_setting("PRETENDED_GPUS", 1);
    return asked < MOST_GPUS ? (int)asked : MOST_GPUS;
}

/* CUDA shows a process those that CUDA_VISIBLE_DEVICES names, by number or by identity, up to the first that is none:
   how many these are, and their numbers. */
static int shown(int numbers[MOST_GPUS]) {
    const char *at = getenv("CUDA_VISIBLE_DEVICES");
    int all = pretended_gpus_of_machine(), count = 0;
    if (!at)
        for (; count < all; count++)
            numbers[count] = count;
    while (at && *at && count < all) {
        char *end;
        int named = !strncmp(at, "GPU-", 4);
        long number = strtol(named ? at + 4 : at, &end, named ? 16 : 10);
        if (end == at || number < 0 || number >= all)
            break;
        numbers[count++] = (int)number;
        at = strchr(at, ',');
        at += at != NULL;
    }
    return count;
}

int pretended_gpus(void) {
    int numbers[MOST_GPUS];
    return shown(numbers);
}

int pretended_number(int gpu) {
    int numbers[MOST_GPUS];
    return gpu < shown(numbers) ? numbers[gpu] : gpu;
}

int pretended_shown_as(int number) {
    int numbers[MOST_GPUS], count = shown(numbers);
    for (int gpu = 0; gpu < count; gpu++)
        if (numbers[gpu] == number)
            return gpu;
    return MOST_GPUS - 1; /* of which this process has nothing */
}

int pretended_current_gpu(void) { return current ? (int)(current - contexts) : 0; }

int pretended_lost(void) {
    long at = pretended_setting("PRETENDED_LOSE_AT_KERNEL", 0);
    return at && counts.kernels + counts.products >= at;
}

CUresult pretended_alive(void) { return pretended_lost() ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS; }

CUcontext pretended_context(int gpu) { return (CUcontext)&contexts[gpu]; }

void *pretended_handle(void) { return calloc(1, 64); }

/* The machine */

CUresult cuInit(unsigned flags) { return pretended_gpus() ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE; }
CUresult cuDriverGetVersion(int *version) { *version = 13000; return CUDA_SUCCESS; }
CUresult cuDeviceGetCount(int *count) { *count = pretended_gpus(); return CUDA_SUCCESS; }
CUresult cuDeviceGet(CUdevice *device, int ordinal) { *device = ordinal; return CUDA_SUCCESS; }
CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
    snprintf(name, (size_t)length, NAME);
    return CUDA_SUCCESS;
}
CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device) { *bytes = pretended_memory_bytes(); return CUDA_SUCCESS; }
CUresult cuDeviceGetPCIBusId(char *text, int length, CUdevice device) {
    snprintf(text, (size_t)length, "0000:%02x:00.0", pretended_number(device) + 1);
    return CUDA_SUCCESS;
}
CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device) {
    memset(uuid, 0, sizeof *uuid);
    uuid->bytes[3] = (char)pretended_number(device);
    return CUDA_SUCCESS;
}
CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device) { return (cuDeviceGetUuid)(uuid, device); }
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
    *value = pretended_attribute((int)attribute);
    return CUDA_SUCCESS;
}
CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device) {
    *major = 9, *minor = 0;
    return CUDA_SUCCESS;
}

/* Those of an H100; what is not named is a yes. */
int pretended_attribute(int attribute) {
    switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: return 9;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: return 0;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: return 132;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE: return 32;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y: return 1024;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z: return 64;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X: return 2147483647;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z: return 65535;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: return 48 << 10;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR: return 228 << 10;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: return 227 << 10;
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK:
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR: return 65536;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR: return 2048;
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: return 1980000;
    case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE: return 2619000;
    case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH: return 5120;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: return 50 << 20;
    case CU_DEVICE_ATTRIBUTE_VIRTUAL_ADDRESS_MANAGEMENT_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED: return 0;
    default: return 1;
    }
}

/* Contexts */

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    *context = pretended_context(device);
    return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active) {
    *flags = 0, *active = 1;
    return CUDA_SUCCESS;
}
CUresult cuCtxSetCurrent(CUcontext context) { current = (char *)context; return CUDA_SUCCESS; }
CUresult cuCtxGetCurrent(CUcontext *context) { *context = (CUcontext)current; return CUDA_SUCCESS; }
CUresult cuCtxPushCurrent(CUcontext context) { current = (char *)context; return CUDA_SUCCESS; }
CUresult cuCtxPopCurrent(CUcontext *context) {
    if (context)
        *context = (CUcontext)current;
    return CUDA_SUCCESS;
}
CUresult cuCtxGetDevice(CUdevice *device) { *device = pretended_current_gpu(); return CUDA_SUCCESS; }
CUresult cuCtxGetApiVersion(CUcontext context, unsigned *version) { *version = 13000; return CUDA_SUCCESS; }
CUresult cuCtxSynchronize(void) { counts.waits++; return pretended_alive(); }
CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) {
    *least = 0, *greatest = -5;
    return CUDA_SUCCESS;
}
CUresult cuDeviceCanAccessPeer(int *can, CUdevice one, CUdevice other) { *can = 1; return CUDA_SUCCESS; }
CUresult cuGetErrorName(CUresult error, const char **name) {
    *name = error == CUDA_ERROR_OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY"
          : error == CUDA_ERROR_LAUNCH_FAILED ? "CUDA_ERROR_LAUNCH_FAILED" : "CUDA_ERROR_UNKNOWN";
    return CUDA_SUCCESS;
}
CUresult cuGetErrorString(CUresult error, const char **text) {
    *text = error == CUDA_ERROR_OUT_OF_MEMORY ? "out of memory"
          : error == CUDA_ERROR_LAUNCH_FAILED ? "unspecified launch failure" : "unknown error";
    return CUDA_SUCCESS;
}

CUresult cuGetExportTable(const void **table, const CUuuid *of) { return CUDA_ERROR_NOT_FOUND; }
CUresult cuGetProcAddress(const char *name, void **function, int version, cuuint64_t flags,
                          CUdriverProcAddressQueryResult *status) {
    *function = NULL;
    return CUDA_ERROR_NOT_FOUND;
}
