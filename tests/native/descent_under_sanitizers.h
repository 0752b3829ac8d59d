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

/* A stack by lanes and one by one, from the same start; returns whether they differ. */
static int OF(random_stack)(double tolerance) {
    int32_t widths[6];
    const int depth = between(1, 5), momentum = between(0, 1), steps = between(0, 3), varying = between(0, 1);
    for (int i = 0; i <= depth; i++) widths[i] = between(1, 11);
    const struct network net = {depth, between(0, 1), between(0, 2), between(1, 7), momentum * between(0, 1), widths};
    const int count = between(1, 2 * OF(nglab_lanes)() + 3);
    T *w[2][5], *v[2][5];
    int64_t apart[5];
    for (int i = 0; i < depth; i++) {
        apart[i] = (int64_t)widths[i + 1] * (widths[i] + net.bias);
        w[0][i] = OF(random)(apart[i] * count, 1), w[1][i] = OF(copy)(w[0][i], apart[i] * count);
        v[0][i] = OF(random)(apart[i] * count, 1), v[1][i] = OF(copy)(v[0][i], apart[i] * count);
    }
    const int64_t x_apart = (int64_t)net.examples * widths[0], y_apart = (int64_t)net.examples * widths[depth];
    T *x = OF(random)(x_apart * count * steps, 1), *y = OF(random)(y_apart * count * steps, 1);
    T *rates = OF(random)(count * (varying ? steps : 1), 0.1), *mu = OF(random)(count, 1);
    const struct OF(batches) of = {x, y, rates, mu, x_apart * count, x_apart, y_apart * count, y_apart, varying * count};
    for (int alone = 0; alone < 2; alone++) {
        const int64_t bytes = OF(nglab_memory)(&net, momentum, !alone) * sizeof(T);
        T *memory = aligned_alloc(REGISTER, (bytes + REGISTER - 1) / REGISTER * REGISTER);
        OF(nglab_descent)(&net, count, alone ? count + 1 : 1, w[alone], momentum ? v[alone] : 0, apart, &of, steps,
                          memory, OF(plain_gemm), OF(plain_tanh));
        free(memory);
    }
    double apart_by = 0;
    for (int i = 0; i < depth; i++)
        for (int64_t j = 0; j < apart[i] * count; j++)
            apart_by = fmax(apart_by, fmax(fabs(w[0][i][j] - w[1][i][j]), fabs(v[0][i][j] - v[1][i][j])));
    for (int i = 0; i < depth; i++) free(w[0][i]), free(w[1][i]), free(v[0][i]), free(v[1][i]);
    free(x), free(y), free(rates), free(mu);
    if (apart_by > tolerance) fprintf(stderr, "a stack and its networks alone differ by %g\n", apart_by);
    return apart_by > tolerance;
}
