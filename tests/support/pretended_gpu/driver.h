/* What the parts of libcuda share. */
#ifndef PRETENDED_DRIVER_H
#define PRETENDED_DRIVER_H

#include <cuda.h>

#include "state.h"

/* Success, or of a lost GPU what every call says. */
CUresult pretended_alive(void);
CUcontext pretended_context(int gpu);
/* Of whatever is made and never looked into. */
void *pretended_handle(void);

#endif
