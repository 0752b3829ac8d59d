/* The step, whatever the kind of memory, and what Python calls. */

typedef void OF(gemm)(const char *, const char *, const int *, const int *, const int *, const T *, const T *,
                      const int *, const T *, const int *, const T *, T *, const int *);
typedef void OF(map)(int, const T *, T *, int64_t);
struct OF(functions) { /* of PyTorch's BLAS and vector mathematics */
    OF(gemm) * gemm;
    OF(map) * tanh;
};

/* A step's rows x and y, its rate (s of plain descent, else α) and μ: of the first network, and how many numbers further
   those of the next step and of the next network lie. */
struct OF(batches) {
    const T *x, *y, *rates, *momenta;
    int64_t x_step, x_apart, y_step, y_apart, rate_step;
};

/* How many numbers further the next row of x_i and e_i lies, of W_{i+1} too; in LANES, how many vectors. */
INLINE int OF(row)(const struct network *net, int kind, int i) {
    const int n = net->widths[i] + (i < net->depth && net->bias);
    return kind == PADDED ? (n + OF(WIDTH) - 1) / OF(WIDTH) * OF(WIDTH) : n;
}

/* Where x_0 … x_L, the two places that e_L, e_{L-1} … take by turns, and W_i and V_i lie (not those OUTSIDE), each at
   the beginning of a vector. Returns how many numbers they take in all; where x is NULL nothing is written. */
static int64_t OF(lay_out)(const struct network *net, int kind, int momentum, T *memory, T **x, T **e, T **w, T **v) {
    const int64_t each = kind == LANES ? OF(WIDTH) : 1, round = OF(WIDTH) - 1;
    int64_t at = 0, widest = 0;
    for (int i = 0; i <= net->depth; i++) {
        const int64_t row = OF(row)(net, kind, i), size = (net->examples * row * each + round) & ~round;
        if (x) x[i] = memory + at;
        at += size;
        if (size > widest) widest = size;
    }
    for (int i = 0; x && i <= net->depth; i++) e[i] = memory + at + (i % 2) * widest;
    at += 2 * widest;
    for (int i = 1; kind != OUTSIDE && i <= net->depth; i++)
        for (int part = 0; part <= momentum; part++) {
            if (x) (part ? v : w)[i] = memory + at;
            at += net->widths[i] * OF(row)(net, kind, i - 1) * each;
        }
    return at;
}

/* `rows` rows of n numbers, of each of `count` networks, into a kind of memory; and out of it. */
INLINE void OF(put)(int kind, int count, int rows, int n, int row, T *into, const T *from, int64_t apart) {
    const int parts = n == row ? 1 : rows, together = rows / parts * n;
    for (int a = 0; a < parts; a++)
        if (kind == LANES)
            OF(to_lanes)((OF(vec) *)into + (int64_t)a * row, from + (int64_t)a * n, apart, count, together);
        else
            memcpy(into + (int64_t)a * row, from + (int64_t)a * n, together * sizeof(T));
}

INLINE void OF(get)(int kind, int count, int rows, int n, int row, T *into, const T *from, int64_t apart) {
    if (kind == LANES)
        OF(from_lanes)(into, apart, count, (int64_t)rows * n, (const OF(vec) *)from);
    else
        for (int a = 0; a < rows; a++) memcpy(into + (int64_t)a * n, from + (int64_t)a * row, n * sizeof(T));
}

/* x ← φ(x), and its 1s. */
INLINE void OF(activate)(const struct network *net, int each, int n, int row, T *x, OF(map) *tanh_of) {
    const int64_t numbers = (int64_t)net->examples * row * each;
    if (net->phi == TANH)
        tanh_of((int)numbers, x, x, ACCURATE);
    else if (net->phi == RELU)
        for (int64_t j = 0; j < numbers; j++) x[j] = x[j] < 0 ? 0 : x[j]; /* what is not a number stays so */
    for (int64_t a = 0; net->bias && a < net->examples; a++)
        for (int l = 0; l < each; l++) x[(a * row + n) * each + l] = 1;
}

/* e ← φ'(z) ∘ e, from x = φ(z). */
INLINE void OF(chain)(const struct network *net, int64_t numbers, T *restrict e, const T *restrict x) {
    if (net->phi == TANH)
        for (int64_t j = 0; j < numbers; j++) e[j] *= 1 - x[j] * x[j];
    else if (net->phi == RELU)
        for (int64_t j = 0; j < numbers; j++) e[j] = x[j] > 0 ? e[j] : e[j] * 0;
}

/* V ← μ V, and W back to where V has not yet led (`ahead`). */
INLINE void OF(fade)(int kind, int ahead, int64_t numbers, T *w, T *v, OF(vec) rate, OF(vec) mu) {
    OF(vec) *ws = (OF(vec) *)w, *vs = (OF(vec) *)v;
    for (int64_t j = 0; j < numbers; j++)
        if (kind == LANES)
            vs[j] *= mu;
        else
            v[j] *= mu[0];
    for (int64_t j = 0; ahead && j < numbers; j++)
        if (kind == LANES)
            ws[j] -= rate * vs[j];
        else
            w[j] -= rate[0] * v[j];
}

/* W ← W + far · V. */
INLINE void OF(follow)(int kind, int64_t numbers, T *w, const T *v, OF(vec) far) {
    for (int64_t j = 0; j < numbers; j++)
        if (kind == LANES)
            ((OF(vec) *)w)[j] += far * ((const OF(vec) *)v)[j];
        else
            w[j] += far[0] * v[j];
}

/* The steps of one network, or in LANES of `count` at once. w and v (NULL: plain) point to the matrices of the first,
   the next one's lie apart[i] numbers further. */
INLINE void OF(steps_of_kind)(const int kind, const struct network *net, int count, T *const *w, T *const *v,
                              const int64_t *apart, struct OF(batches) of, int64_t steps, T *memory,
                              const struct OF(functions) *functions) {
    typedef OF(matrix) M;
    typedef OF(vec) V;
    OF(gemm) *gemm = functions->gemm;
    const int depth = net->depth, bias = net->bias, m = net->examples, each = kind == LANES ? OF(WIDTH) : 1;
    const int32_t *n = net->widths;
    const T zero = 0, one = 1;
    T *x[depth + 1], *e[depth + 1], *ws[depth + 1], *vs[depth + 1];
    V rate = {0}, mu = {0}; /* one number a network; lane 0 where there is one network */
    OF(lay_out)(net, kind, v != 0, memory, x, e, ws, vs);
    for (int i = 1; i <= depth; i++) {
        const int in = n[i - 1] + bias, row = OF(row)(net, kind, i - 1);
        if (kind == OUTSIDE) {
            ws[i] = w[i - 1], vs[i] = v ? v[i - 1] : 0;
            continue;
        }
        OF(put)(kind, count, n[i], in, row, ws[i], w[i - 1], apart[i - 1]);
        if (v) OF(put)(kind, count, n[i], in, row, vs[i], v[i - 1], apart[i - 1]);
    }
    for (int l = 0; v && l < count; l++) mu[l] = of.momenta[l];
    for (int64_t k = 0; k < steps; k++) {
        for (int l = 0; l < count; l++) rate[l] = of.rates[k * of.rate_step + l];
        OF(put)(kind, count, m, n[0], OF(row)(net, kind, 0), x[0], of.x + k * of.x_step, of.x_apart);
        OF(put)(kind, count, m, n[depth], OF(row)(net, kind, depth), e[depth], of.y + k * of.y_step, of.y_apart);
        for (int64_t a = 0; bias && a < m; a++)
            for (int l = 0; l < each; l++) x[0][(a * OF(row)(net, kind, 0) + n[0]) * each + l] = 1;
        for (int i = 1; i <= depth; i++) { /* x_i */
            const int in = n[i - 1] + bias, x_row = OF(row)(net, kind, i - 1), z_row = OF(row)(net, kind, i);
            if (kind == OUTSIDE) /* BLAS has columns: it is given, and makes, each matrix transposed */
                gemm("T", "N", &n[i], &m, &in, &one, ws[i], &in, x[i - 1], &x_row, &zero, x[i], &z_row);
            else if (kind == PADDED)
                OF(padded_forward)(m, n[i], in, x[i - 1], x_row, ws[i], x_row, x[i], z_row);
            else
                OF(multiply)(m, n[i], in, (M){(V *)x[i - 1], x_row, 1}, (M){(V *)ws[i], x_row, 1}, (M){(V *)x[i], z_row, 1}, 0);
            if (i < depth) OF(activate)(net, each, n[i], z_row, x[i], functions->tanh);
        }
        const V scale = v ? (V){0} + one / m : rate, far = net->ahead ? rate * (1 + mu) : rate;
        for (int64_t j = 0; j < (int64_t)m * OF(row)(net, kind, depth); j++) /* e_L */
            if (kind == LANES)
                ((V *)e[depth])[j] = (((V *)e[depth])[j] - ((V *)x[depth])[j]) * scale;
            else
                e[depth][j] = (e[depth][j] - x[depth][j]) * scale[0];
        for (int i = depth; i > 0; i--) {
            const int in = n[i - 1] + bias, x_row = OF(row)(net, kind, i - 1), e_row = OF(row)(net, kind, i);
            const int64_t numbers = (int64_t)n[i] * (kind == OUTSIDE ? in : x_row);
            if (i > 1) { /* e_{i-1} */
                if (kind == OUTSIDE)
                    gemm("N", "N", &n[i - 1], &m, &n[i], &one, ws[i], &in, e[i], &e_row, &zero, e[i - 1], &x_row);
                else if (kind == PADDED)
                    OF(padded_backward)(m, n[i], n[i - 1], e[i], e_row, ws[i], x_row, e[i - 1], x_row);
                else
                    OF(multiply)(m, n[i - 1], n[i], (M){(V *)e[i], e_row, 1}, (M){(V *)ws[i], 1, x_row}, (M){(V *)e[i - 1], x_row, 1}, 0);
                OF(chain)(net, (int64_t)m * x_row * each, e[i - 1], x[i - 1]);
            }
            T *into = v ? vs[i] : ws[i];
            if (v) OF(fade)(kind, net->ahead, numbers, ws[i], into, rate, mu);
            if (kind == OUTSIDE)
                gemm("N", "T", &in, &n[i], &m, &one, x[i - 1], &x_row, e[i], &e_row, &one, into, &in);
            else if (kind == PADDED)
                OF(padded_update)(m, n[i], in, e[i], e_row, x[i - 1], x_row, into, x_row);
            else
                OF(multiply)(n[i], in, m, (M){(V *)e[i], 1, e_row}, (M){(V *)x[i - 1], 1, x_row}, (M){(V *)into, x_row, 1}, 1);
            if (v) OF(follow)(kind, numbers, ws[i], into, far);
        }
    }
    for (int i = 1; kind != OUTSIDE && i <= depth; i++) {
        const int in = n[i - 1] + bias, row = OF(row)(net, kind, i - 1);
        OF(get)(kind, count, n[i], in, row, w[i - 1], ws[i], apart[i - 1]);
        if (v) OF(get)(kind, count, n[i], in, row, v[i - 1], vs[i], apart[i - 1]);
    }
}

int32_t OF(nglab_lanes)(void) { return OF(WIDTH); }

/* How many numbers the memory of a step takes, which begins at a multiple of REGISTER bytes. */
int64_t OF(nglab_memory)(const struct network *net, int32_t momentum, int32_t kind) {
    return OF(lay_out)(net, kind, momentum, 0, 0, 0, 0, 0);
}

/* `steps` steps of `count` networks: in LANES where `least` or more are left, else one after another, in the memory of
   the kind `alone`. w and v (NULL: plain) point to the matrices of the first network; of the next one W_i and V_i lie
   apart[i] numbers further. */
void OF(nglab_descent)(const struct network *net, int32_t count, int32_t least, int32_t alone, T *const *w, T *const *v,
                       const int64_t *apart, const struct OF(batches) *batches, int64_t steps, T *memory,
                       const struct OF(functions) *functions) {
    for (int first = 0, taken; first < count; first += taken) {
        struct OF(batches) of = *batches;
        of.x += first * of.x_apart, of.y += first * of.y_apart, of.rates += first, of.momenta += first;
        T *ws[net->depth], *vs_[net->depth], **vs = v ? vs_ : 0;
        for (int i = 0; i < net->depth; i++) ws[i] = w[i] + first * apart[i], vs_[i] = v ? v[i] + first * apart[i] : 0;
        taken = count - first < OF(WIDTH) ? count - first : OF(WIDTH);
        if (taken >= least) {
            OF(steps_of_kind)(LANES, net, taken, ws, vs, apart, of, steps, memory, functions);
            continue;
        }
        taken = 1;
        if (alone == PADDED)
            OF(steps_of_kind)(PADDED, net, 1, ws, vs, apart, of, steps, memory, functions);
        else
            OF(steps_of_kind)(OUTSIDE, net, 1, ws, vs, apart, of, steps, memory, functions);
    }
}
