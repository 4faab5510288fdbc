"""The arrays that hold tracks, and the kernels that move them: shared by every strategy."""
