// How one frame's value at a pixel joins what is kept of the frames before it.

// What is kept of a band over the frames (Part of the backend's protocol): rows without gaps; `plane` is the distance
// between the channels of `kept`, the winner's image or, with `total`, the running mean. `ties`: an earlier frame may come
// late, so equal energies must be compared by frame. With `depth` the mean has a spread: mean and variance of the frames'
// indices, and the luma of the sharpest; `squared`: the mean is of squared values; `steep`: weights are steeper, of roots of
// energies. With `valley` one end of the stack is preferred (`far`: the later frames), above the energy `floor` of noise.
struct Part {
    float* energy;
    unsigned short* frame;
    float* kept;
    float* total;
    float* depth;
    float* variance;
    float* sharpest;
    int plane;
    float noise;
    int index;
    int ties;
    int squared;
    int steep;
    float* valley;
    float floor;
    int far;
};

// What became of a frame at a pixel: the share that its values get (0: nothing changes), and whether it is the sharpest.
struct Admitted {
    float share;
    bool won;
};

// base^8 by squaring: multiplications alone, so every device rounds alike.
__device__ __forceinline__ float eighth_power(float base) {
    base *= base;
    base *= base;
    return base * base;
}

// A weight, of a ratio to the largest.
__device__ __forceinline__ float weight_of(const Part& part, float ratio) {
    const float weight = eighth_power(ratio);
    return part.steep ? eighth_power(weight) : weight;
}

// What weights compare: energy and noise; of a steep choice, the root of the energy and noise. Nought for what is not valid.
__device__ __forceinline__ float above_noise(const Part& part, float energy) {
    if (!part.steep) return fmaxf(energy, -part.noise) + part.noise;
    return energy < 0.0f ? 0.0f : sqrtf(energy) + part.noise;
}

// Fold a weight into the soft maximum at i, kept relative to the largest energy so far; returns the newcomer's share.
__device__ __forceinline__ float soften(const Part& part, size_t i, float energy, float best) {
    const float ratio = above_noise(part, energy) / above_noise(part, fmaxf(best, 0.0f));
    const float gain = weight_of(part, fminf(ratio, 1.0f));
    const float total = part.total[i] * weight_of(part, 1.0f / fmaxf(ratio, 1.0f)) + gain;
    part.total[i] = total;
    return gain / fmaxf(total, 1e-30f);
}

#define EQUALLY_SHARP 2.0f
#define VALLEY 2.0f

// Where one end of the stack is preferred: -2 for a frame that has to stand aside for an earlier one; where the earlier one
// has to, the part forgets it.
__device__ __forceinline__ float stood_aside(const Part& part, size_t i, float energy) {
    const float level = energy + part.floor, valley = part.valley[i];
    float best = part.energy[i];
    if (best >= 0.0f && energy >= 0.0f && level > VALLEY * (valley + part.floor)) {
        if (part.far && EQUALLY_SHARP * level >= best + part.floor) {
            best = part.energy[i] = -1.0f;
            if (part.total) part.total[i] = 0.0f;
        }
        if (!part.far && level <= EQUALLY_SHARP * (best + part.floor)) energy = -2.0f;
    }
    if (energy > best)
        part.valley[i] = energy;
    else if (energy >= 0.0f)
        part.valley[i] = fminf(valley, energy);
    return energy;
}

// Fold one frame's energy into the part at i.
__device__ __forceinline__ Admitted admit(const Part& part, size_t i, float energy, bool valid) {
    energy = valid ? fmaxf(energy, 0.0f) : -2.0f;  // what is not valid never wins and weighs nothing
    if (part.valley) energy = stood_aside(part, i, energy);
    const float best = part.energy[i];
    const bool won = energy > best || (part.ties && energy == best && part.index < part.frame[i]);
    const float share = part.total ? soften(part, i, energy, best) : (won ? 1.0f : 0.0f);
    if (won) {
        part.energy[i] = energy;
        part.frame[i] = (unsigned short)part.index;
    }
    return {share, won};
}

// Fold one value into what is kept.
__device__ __forceinline__ void keep(const Part& part, size_t i, float value, float share) {
    if (!part.kept) return;
    const float before = part.kept[i];
    if (part.squared) value *= value;
    part.kept[i] = part.total ? before + (value - before) * share : value;
}

// Fold the frame's index into the spread, and its luma where it is the sharpest (West, "Updating mean and variance
// estimates", CACM 22, 1979).
__device__ __forceinline__ void spread_in(const Part& part, size_t i, const Admitted& admitted, float luma) {
    const float share = admitted.share, depth = part.depth[i], away = (float)part.index - depth, step = away * share;
    part.depth[i] = depth + step;
    part.variance[i] = (part.variance[i] + step * away) * (1.0f - share);
    if (admitted.won) part.sharpest[i] = luma;
}
