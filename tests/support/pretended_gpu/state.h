/* What all parts of the pretended GPU share. See driver.c. */
#ifndef PRETENDED_STATE_H
#define PRETENDED_STATE_H

#include <stdatomic.h>
#include <stddef.h>

#define MOST_GPUS 64
#define MEMORY_BYTES ((size_t)80 << 30)
#define NAME "Pretended H100"
#define DRIVER_VERSION "580.0.0"

/* What a test may ask for, by ctypes: pretended_counts() copies them in this order. */
typedef struct {
    atomic_long to_device, to_device_bytes, to_host, to_host_bytes, on_device, kernels, products, collectives;
    atomic_long waits, allocations;
} Counts;

extern Counts counts;

/* Those that this process is shown, and all. */
int pretended_gpus(void);
int pretended_gpus_of_machine(void);
long pretended_setting(const char *name, long otherwise);
/* The number among all of the machine's, of one that this process is shown. */
int pretended_number(int gpu);
/* And back. */
int pretended_shown_as(int number);
int pretended_attribute(int attribute);
int pretended_current_gpu(void);
/* Whether the GPU has failed for good: every call then says so. */
int pretended_lost(void);
void count_copy(int kind, size_t bytes);
size_t pretended_memory_bytes(void);
/* Nothing once allocations fail: as if another process had taken all that was left. */
size_t pretended_free(int gpu);
void *pretended_memory(size_t bytes);
void pretended_release(void *start);
/* The GPU on which this memory lies; -1 for the host's own. */
int pretended_gpu_of(const void *address);

enum { TO_DEVICE = 1, TO_HOST = 2, ON_DEVICE = 3 };

#endif
