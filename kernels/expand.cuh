// The step up a pyramid: a coarse picture at the pixels of the finer one.

// The weights of `expand` at a fine index: twice the binomial with zeros between the coarse samples. Before its first sample
// the coarse picture mirrors, after its last it repeats, as OpenCV's pyrUp. Even: (1 6 1)/8 around `at`; odd: the mean of two.
struct Between {
    int before, at, after;
    bool odd;
};

__device__ __forceinline__ Between between(int fine, int coarse_length) {
    const int at = fine >> 1;
    return {at ? at - 1 : min(1, coarse_length - 1), at, min(at + 1, coarse_length - 1), (fine & 1) != 0};
}

__device__ __forceinline__ float interpolated(float before, float at, float after, bool odd) {
    return odd ? 0.5f * (at + after) : 0.125f * (before + after) + 0.75f * at;
}

// One line of the coarse picture at fine column x.
__device__ __forceinline__ float widened(const float* __restrict__ line, const Between& b) {
    return interpolated(line[b.before], line[b.at], line[b.after], b.odd);
}

// The coarse picture at fine pixel (y, x).
__device__ __forceinline__ float expanded(const float* __restrict__ coarse, int height, int width, int y, int x) {
    const Between rows = between(y, height), columns = between(x, width);
    return interpolated(widened(coarse + (size_t)rows.before * width, columns),
                        widened(coarse + (size_t)rows.at * width, columns),
                        widened(coarse + (size_t)rows.after * width, columns), rows.odd);
}
