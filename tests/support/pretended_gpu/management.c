/* NVML of a pretended GPU: libnvidia-ml, by the names that the installed package of it asks for. */
#include <nvml.h>
#include <stdio.h>
#include <string.h>

#include "state.h"

static char gpus[MOST_GPUS];

static int number(nvmlDevice_t device) { return (int)((char *)device - gpus); }

nvmlReturn_t nvmlInit_v2(void) { return pretended_gpus_of_machine() ? NVML_SUCCESS : NVML_ERROR_DRIVER_NOT_LOADED; }
nvmlReturn_t nvmlInitWithFlags(unsigned flags) { return nvmlInit_v2(); }
nvmlReturn_t nvmlShutdown(void) { return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *count) { *count = (unsigned)pretended_gpus_of_machine(); return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device) {
    *device = (nvmlDevice_t)&gpus[index];
    return index < (unsigned)pretended_gpus_of_machine() ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}
nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus, nvmlDevice_t *device) {
    unsigned domain = 0, place = 1;
    sscanf(bus, "%x:%x:", &domain, &place);
    *device = (nvmlDevice_t)&gpus[place - 1];
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned length) {
    snprintf(name, length, NAME);
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned length) {
    snprintf(uuid, length, "GPU-%08x-0000-0000-0000-000000000000", number(device));
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory) {
    memory->total = (unsigned long long)pretended_setting("PRETENDED_MEMORY", (long)MEMORY_BYTES);
    unsigned long long beside = (unsigned long long)600 << 20; /* what contexts and libraries take on a real one */
    unsigned long long left = pretended_free(pretended_shown_as(number(device)));
    memory->free = left > beside ? left - beside : 0;
    memory->used = memory->total - memory->free;
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned length) {
    snprintf(version, length, DRIVER_VERSION);
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned *now, unsigned *pending) {
    *now = *pending = 0;
    return NVML_SUCCESS;
}
/* It has no counters of energy, power, clocks and use. */
nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t device, unsigned long long *energy) {
    return NVML_ERROR_NOT_SUPPORTED;
}
nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned *power) { return NVML_ERROR_NOT_SUPPORTED; }
nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t device, unsigned *limit) { return NVML_ERROR_NOT_SUPPORTED; }
nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, nvmlClockType_t type, unsigned *clock) {
    return NVML_ERROR_NOT_SUPPORTED;
}
nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, nvmlClockType_t type, unsigned *clock) {
    return NVML_ERROR_NOT_SUPPORTED;
}
nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *use) {
    return NVML_ERROR_NOT_SUPPORTED;
}
const char *nvmlErrorString(nvmlReturn_t result) { return "a pretended GPU does not tell"; }
