#include "npy.h"

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>

#include "text.h"

namespace crosscam {
namespace {

template <typename T>
void take(const std::string& bytes, std::size_t at, std::vector<float>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + at + i * sizeof(T), sizeof(T));
    values[i] = static_cast<float>(value);
  }
}

}  // namespace

Output read_npy(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const auto fail = [&] { throw Error(path.string() + " is no array of NumPy's that can be read: save it by numpy.save"); };
  if (bytes.size() < 10 || bytes.compare(0, 6, "\x93NUMPY") != 0 || bytes[6] != 1) fail();
  const std::size_t begins = 10 + static_cast<unsigned char>(bytes[8]) + 256U * static_cast<unsigned char>(bytes[9]);
  if (begins > bytes.size()) fail();
  const std::string header = bytes.substr(10, begins - 10);
  const auto open = header.find('('), close = header.find(')');
  if (open == std::string::npos || close == std::string::npos || header.find("'fortran_order': False") == std::string::npos) {
    fail();
  }
  Output found;
  std::size_t count = 1;
  for (std::string_view side : split(std::string_view(header).substr(open + 1, close - open - 1), ',')) {
    const auto value = number(side);
    if (!value) continue;  // behind the last comma
    found.shape.push_back(static_cast<int>(*value));
    count *= static_cast<std::size_t>(*value);
  }
  found.values.resize(count);
  const bool floats = header.find("'<f4'") != std::string::npos, shorts = header.find("'<i4'") != std::string::npos;
  const bool longs = header.find("'<i8'") != std::string::npos;
  if (!(floats || shorts || longs) || bytes.size() < begins + count * (longs ? 8 : 4)) fail();
  if (floats) take<float>(bytes, begins, found.values);
  if (shorts) take<std::int32_t>(bytes, begins, found.values);
  if (longs) take<std::int64_t>(bytes, begins, found.values);
  return found;
}

}  // namespace crosscam
