/* Gradient descent on a layered network, many steps in a call.

   One step on M examples (Eqs. 1, 7, 8 of Bernacchia, Lengyel & Hennequin 2018), for the Gaussian likelihood:
     x_i = φ(W_i x_{i-1}),  e_L = s (y − x_L),  e_{i-1} = φ'(z_{i-1}) ∘ W_iᵀ e_i, and
     plain:     s = α/M,  W_i ← W_i + Σ e_i x_{i-1}ᵀ
     momentum:  s = 1/M,  V_i ← μ V_i + Σ e_i x_{i-1}ᵀ,  W_i ← W_i + α V_i
     ahead:     the same of W_i + αμV_i, which is what the weights are (Nesterov)
   An example a row. With a bias, W_i's last column, x_{i-1} ends in a 1. Each W_i is changed once e_{i-1} is made of
   it, while it lies in the cache. What is computed is defined by the methods' `step` in Python.

   Three kinds of memory, each with its three products a layer:
     OUTSIDE  the caller's own, products by BLAS: for large layers
     PADDED   rows filled up with zeros to whole vector registers, products of our own: for small ones
     LANES    a stack of networks side by side, lane l of a vector holding a number of network l */

#include <stdint.h>
#include <string.h>

struct network {
    int32_t depth, bias, phi, examples, ahead; /* L, 0 or 1, φ, M, whether the momentum is Nesterov's */
    const int32_t *widths;                     /* n_0 … n_L */
};
enum { IDENTITY, TANH, RELU };
enum { OUTSIDE, PADDED, LANES };
enum { ACCURATE = 0x140102 }; /* MKL's most accurate mode, errors ignored: as PyTorch calls its vector mathematics */

/* Bytes of a vector register; and of the tile of sums that the registers hold, how many rows of four there are. */
#if defined(__AVX512F__)
#define REGISTER 64
#define TALL 5
#define DOWN(X) X(0) X(1) X(2) X(3) X(4)
#elif defined(__AVX__)
#define REGISTER 32
#define TALL 2
#define DOWN(X) X(0) X(1)
#else
#define REGISTER 16
#define TALL 2
#define DOWN(X) X(0) X(1)
#endif
#define ACROSS(X, i) X(i, 0) X(i, 1) X(i, 2) X(i, 3)

#if defined(__AVX__) /* read once, into a register: compilers would read it anew for each of its products */
#define HELD(x) __asm__("" : "+v"(x))
#else
#define HELD(x) (void)0
#endif

#define INLINE static inline __attribute__((always_inline))
#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define OF(name) JOIN(name, T) /* the name's variant for numbers of the type T */

#define T float
#include "descent_vectors.h"
#include "descent_padded.h"
#include "descent_lanes.h"
#include "descent_steps.h"
#undef T
#define T double
#include "descent_vectors.h"
#include "descent_padded.h"
#include "descent_lanes.h"
#include "descent_steps.h"
