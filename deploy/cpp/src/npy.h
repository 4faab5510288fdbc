// Arrays that NumPy has saved: float32, int32 or int64, C order.
#pragma once

#include <filesystem>

#include "heads.h"

namespace crosscam {

// Throws Error if the file is not of this kind.
Output read_npy(const std::filesystem::path& path);

}  // namespace crosscam
