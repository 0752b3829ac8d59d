/* Column-major, as Fortran's. */
static void OF(plain_gemm)(const char *ta, const char *tb, const int *m, const int *n, const int *k, const T *alpha,
                           const T *a, const int *lda, const T *b, const int *ldb, const T *beta, T *c, const int *ldc) {
    for (int j = 0; j < *n; j++)
        for (int i = 0; i < *m; i++) {
            T sum = 0;
            for (int l = 0; l < *k; l++)
                sum += (*ta == 'T' ? a[l + (long)i * *lda] : a[i + (long)l * *lda]) *
                       (*tb == 'T' ? b[j + (long)l * *ldb] : b[l + (long)j * *ldb]);
            T *entry = &c[i + (long)j * *ldc];
            *entry = *alpha * sum + (*beta == 0 ? 0 : *beta * *entry);
        }
}

static void OF(plain_tanh)(int n, const T *x, T *y, int64_t mode) {
    (void)mode;
    for (int i = 0; i < n; i++) y[i] = (T)tanh((double)x[i]);
}

static T *OF(random)(int64_t n, double scale) {
    T *made = malloc(n * sizeof(T));
    for (int64_t i = 0; i < n; i++) made[i] = (T)(scale * uniform());
    return made;
}

static T *OF(copy)(const T *from, int64_t n) { return memcpy(malloc(n * sizeof(T)), from, n * sizeof(T)); }

/* A stack in each kind of memory, from the same start; returns whether they differ. */
static int OF(random_stack)(double tolerance) {
    int32_t widths[6];
    const int depth = between(1, 5), momentum = between(0, 1), steps = between(0, 3), varying = between(0, 1);
    for (int i = 0; i <= depth; i++) widths[i] = between(1, 11);
    const struct network net = {depth, between(0, 1), between(0, 2), between(1, 7), momentum * between(0, 1), widths};
    const int count = between(1, 2 * OF(nglab_lanes)() + 3);
    T *w[3][5], *v[3][5];
    int64_t apart[5];
    for (int i = 0; i < depth; i++) {
        apart[i] = (int64_t)widths[i + 1] * (widths[i] + net.bias);
        w[0][i] = OF(random)(apart[i] * count, 1), v[0][i] = OF(random)(apart[i] * count, 1);
        for (int kind = 1; kind < 3; kind++)
            w[kind][i] = OF(copy)(w[0][i], apart[i] * count), v[kind][i] = OF(copy)(v[0][i], apart[i] * count);
    }
    const int64_t x_apart = (int64_t)net.examples * widths[0], y_apart = (int64_t)net.examples * widths[depth];
    T *x = OF(random)(x_apart * count * steps, 1), *y = OF(random)(y_apart * count * steps, 1);
    T *rates = OF(random)(count * (varying ? steps : 1), 0.1), *mu = OF(random)(count, 1);
    const struct OF(batches) of = {x, y, rates, mu, x_apart * count, x_apart, y_apart * count, y_apart, varying * count};
    for (int kind = 0; kind < 3; kind++) {
        const int64_t bytes = OF(nglab_memory)(&net, momentum, kind) * sizeof(T);
        T *memory = aligned_alloc(REGISTER, (bytes + REGISTER - 1) / REGISTER * REGISTER);
        memset(memory, 0, bytes);
        OF(nglab_descent)(&net, count, kind == LANES ? 1 : count + 1, kind, w[kind], momentum ? v[kind] : 0, apart, &of,
                          steps, memory, &(struct OF(functions)){OF(plain_gemm), OF(plain_tanh)});
        free(memory);
    }
    double apart_by = 0;
    for (int i = 0; i < depth; i++)
        for (int64_t j = 0; j < apart[i] * count; j++)
            for (int kind = 1; kind < 3; kind++)
                apart_by = fmax(apart_by, fmax(fabs(w[0][i][j] - w[kind][i][j]), fabs(v[0][i][j] - v[kind][i][j])));
    for (int i = 0; i < depth; i++)
        for (int kind = 0; kind < 3; kind++) free(w[kind][i]), free(v[kind][i]);
    free(x), free(y), free(rates), free(mu);
    if (apart_by > tolerance) fprintf(stderr, "the kinds of memory differ by %g\n", apart_by);
    return apart_by > tolerance;
}
