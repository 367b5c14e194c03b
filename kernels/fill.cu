// Set all elements of an array to one value.

template <typename T>
__device__ __forceinline__ void fill(T* target, int count, T value) {
    for (int i = blockIdx.x * GPUSTACK_THREADS + threadIdx.x; i < count; i += gridDim.x * GPUSTACK_THREADS)
        target[i] = value;
}

LINE_KERNEL fill_float32(float* __restrict__ target, int count, float value) { fill(target, count, value); }

LINE_KERNEL fill_uint8(unsigned char* __restrict__ target, int count, float value) {
    fill(target, count, (unsigned char)value);
}

LINE_KERNEL fill_uint16(unsigned short* __restrict__ target, int count, float value) {
    fill(target, count, (unsigned short)value);
}
