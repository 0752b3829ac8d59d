/* What Python calls: the steps of a stack of networks. */

int32_t OF(nglab_lanes)(void) { return OF(LANES); }

/* How many numbers the memory of a step takes, for as many networks as the lanes are, or for each alone. */
int64_t OF(nglab_memory)(const struct network *net, int32_t momentum, int32_t in_lanes) {
    return in_lanes ? OF(memory_of_lanes)(net, momentum) : OF(lay_out)(net, 1, 0, 0, 0);
}

/* `steps` steps of `count` networks: LANES at a time where `least` or more are left, else one after another. w and v
   (NULL: plain) point to the matrices of the first network; of the next one W_i and V_i lie apart[i] numbers further. */
void OF(nglab_descent)(const struct network *net, int32_t count, int32_t least, T *const *w, T *const *v,
                       const int64_t *apart, const struct OF(batches) *batches, int64_t steps, T *memory,
                       OF(gemm) *gemm, OF(map) *tanh_of) {
    for (int first = 0, taken; first < count; first += taken) {
        const struct OF(batches) of = OF(of_network)(*batches, first);
        T *ws[net->depth], *vs[net->depth];
        for (int i = 0; i < net->depth; i++) ws[i] = w[i] + first * apart[i], vs[i] = v ? v[i] + first * apart[i] : 0;
        taken = count - first < OF(LANES) ? count - first : OF(LANES);
        if (taken >= least) {
            OF(steps_in_lanes)(net, taken, ws, v ? vs : 0, apart, of, steps, memory, tanh_of);
        } else {
            OF(steps_alone)(net, ws, v ? vs : 0, of, steps, memory, gemm, tanh_of);
            taken = 1;
        }
    }
}
