// What every kernel shares. Sources are compiled as one text (defines, this file, the stage's file), never by #include:
// CuPy's compile cache does not see included files.

#define GPUSTACK_THREADS_X 32
#define GPUSTACK_THREADS_Y 8

// Mirror an index into 0..length-1 without repeating the edge: -1 -> 1, length -> length - 2, as OpenCV's BORDER_REFLECT_101.
__device__ __forceinline__ int mirror(int index, int length) {
    if (length == 1) return 0;
    const int period = 2 * (length - 1);
    int folded = index % period;
    if (folded < 0) folded += period;
    return folded < length ? folded : period - folded;
}
