/* What MKL asks before it takes the kernels of the processor's own instruction set: is this one of Intel's? */

int mkl_serv_intel_cpu_true(void) { return 1; }
int mkl_serv_intel_cpu(void) { return 1; }
