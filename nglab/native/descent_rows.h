/* One network, its products by the BLAS that PyTorch has loaded. */

typedef void OF(gemm)(const char *, const char *, const int *, const int *, const int *, const T *, const T *,
                      const int *, const T *, const int *, const T *, T *, const int *);

/* The steps of one network. `memory` takes what `lay_out` says of one lane. */
static void OF(steps_alone)(const struct network *net, T *const *w, T *const *v, struct OF(batches) of, int64_t steps,
                            T *memory, OF(gemm) *gemm, OF(map) *tanh_of) {
    const int depth = net->depth, bias = net->bias, m = net->examples, curved = net->phi != IDENTITY;
    const int32_t *n = net->widths;
    const T zero = 0, one = 1;
    T *xs[depth + 1], *es[depth + 1];
    OF(lay_out)(net, 1, memory, xs, es);
    OF(write_ones)(net, 1, xs);
    for (int64_t k = 0; k < steps; k++, of = OF(next)(of)) {
        if (bias)
            OF(copy_rows)(net, n[0], 1, of.x, xs[0]);
        else
            xs[0] = (T *)of.x;
        for (int i = 1; i <= depth; i++) { /* BLAS has columns: it is given, and makes, each matrix transposed */
            const int in = n[i - 1] + bias, next = n[i] + (i < depth && bias);
            gemm("T", "N", &n[i], &m, &in, &one, w[i - 1], &in, xs[i - 1], &in, &zero, xs[i], &next);
            if (curved && i < depth) OF(activate)(net, i, 1, xs[i], tanh_of);
        }
        const T scale = v ? one / m : *of.rates, far = net->ahead ? *of.rates * (1 + *of.momenta) : *of.rates;
        for (int64_t j = 0; j < (int64_t)m * n[depth]; j++) es[depth][j] = (of.y[j] - xs[depth][j]) * scale;
        for (int i = depth; i > 0; i--) {
            const int in = n[i - 1] + bias;
            const int64_t numbers = (int64_t)n[i] * in;
            if (i > 1) {
                gemm("N", "N", &n[i - 1], &m, &n[i], &one, w[i - 1], &in, es[i], &n[i], &zero, es[i - 1], &n[i - 1]);
                if (curved) OF(chain)(net, i - 1, 1, es[i - 1], xs[i - 1]);
            }
            T *into = v ? v[i - 1] : w[i - 1];
            for (int64_t j = 0; v && j < numbers; j++) into[j] *= *of.momenta;
            for (int64_t j = 0; v && net->ahead && j < numbers; j++) w[i - 1][j] -= *of.rates * into[j];
            gemm("N", "T", &in, &n[i], &m, &one, xs[i - 1], &in, es[i], &n[i], &one, into, &in);
            for (int64_t j = 0; v && j < numbers; j++) w[i - 1][j] += far * into[j];
        }
    }
}
