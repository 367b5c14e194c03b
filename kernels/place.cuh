// Where a pixel of the canvas lies in a frame, and what its samples become: for the stages that load frames. Positions are
// made in double and rounded once, as on the CPU, so they depend on the pixel alone and not on the band.

// Samples of each channel are multiplied by a scale, the gain divided by white, and an offset is added to what is resampled
// of them. No offset is -0: adding it changes no bit.
struct Toning {
    float scale[4], offset[4];
};

struct Warp {
    double m[9];        // canvas pixel to frame pixel, row by row
    Toning toning;
    float slack;        // pixels outside the frame that still count as covered
    int first_row;      // canvas row of the band's first
    int perspective;    // whether the last row is other than 0 0 1
};

struct Position {
    float x, y;
};

// Where a canvas pixel lies in the frame.
__device__ __forceinline__ Position position(const Warp& warp, int column, int row) {
    const double x = column, y = row;
    const double* m = warp.m;
    if (!warp.perspective)
        return {(float)(m[0] * x + m[2]) + (float)(m[1] * y), (float)(m[3] * x + m[5]) + (float)(m[4] * y)};
    const double w = m[6] * x + m[7] * y + m[8];
    return {(float)((m[0] * x + m[1] * y + m[2]) / w), (float)((m[3] * x + m[4] * y + m[5]) / w)};
}

// The whole pixel before a position, within what an int and the frame's repeated edge can hold.
__device__ __forceinline__ float whole(float position, int length) {
    return fminf(fmaxf(floorf(position), -4.0f), (float)length + 4.0f);
}

// The mask's value at a position: 255 inside the frame, or outside it by no more than the slack.
__device__ __forceinline__ unsigned char covered(const Warp& warp, const Position& at, int height, int width) {
    const float right = width - 1 + warp.slack, bottom = height - 1 + warp.slack;
    return at.x >= -warp.slack && at.x <= right && at.y >= -warp.slack && at.y <= bottom ? 255 : 0;
}
