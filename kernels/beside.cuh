// What is known beside depth steps (Beside of the backend's protocol), and light and its code.

#define GROUND 1
#define FRONT 2

// The picture; sums and weights of the frames focused on the nearer and on the farther side; the depths of both, and the side
// of each pixel. `coded`: values are about the root of light. Images have a distance between their channels, `..._plane`.
struct Beside {
    const float* picture;
    const float* front;
    const float* back;
    const float* front_total;
    const float* back_total;
    const float* near_depth;
    const float* far_depth;
    const unsigned char* side;
    int picture_plane, front_plane, back_plane, height, width, channels, coded;
};

__device__ __forceinline__ float unit(float value) { return fminf(fmaxf(value, 0.0f), 1.0f); }
__device__ __forceinline__ float light_of(float value, int coded) { return coded ? value * value : value; }
__device__ __forceinline__ float coded_of(float light, int coded) { return coded ? sqrtf(fmaxf(light, 0.0f)) : light; }

// The picture, and what the frames focused on the nearer and on the farther side show; `here` counts pixels of a plane.
__device__ __forceinline__ float picture_at(const Beside& beside, int c, size_t here) {
    return beside.picture[(size_t)c * beside.picture_plane + here];
}

__device__ __forceinline__ float front_at(const Beside& beside, int c, size_t here) {
    return beside.front[(size_t)c * beside.front_plane + here] / fmaxf(beside.front_total[here], 1e-6f);
}

__device__ __forceinline__ float back_at(const Beside& beside, int c, size_t here) {
    return beside.back[(size_t)c * beside.back_plane + here] / fmaxf(beside.back_total[here], 1e-6f);
}

// The light of the plain ground, from the sums of `plain_sums`.
__device__ __forceinline__ float plain_at(const Beside& beside, const float* __restrict__ sums, int c, size_t here) {
    const size_t plane = (size_t)beside.height * beside.width;
    return sums[c * plane + here] / fmaxf(sums[beside.channels * plane + here], 1e-4f);
}
