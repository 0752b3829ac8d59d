/* Random small networks through every kind of memory of descent.c, each array exactly as long as it must be: for sanitizers.
   Plain products stand for BLAS; a stack must end at the same numbers in each. Exit status 1: it does not. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "descent.c"

static unsigned state = 1;
static double uniform(void) { return (state = state * 1664525u + 1013904223u) / 4294967296.0 - 0.5; }
static int between(int low, int high) { return low + (int)((uniform() + 0.5) * (high - low + 1)); }

#define T float
#include "descent_under_sanitizers.h"
#undef T
#define T double
#include "descent_under_sanitizers.h"

int main(void) {
    int wrong = 0;
    for (int k = 0; k < 60; k++) wrong += random_stack_float(1e-4) + random_stack_double(1e-12);
    return wrong != 0;
}
