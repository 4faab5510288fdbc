// Numbers in and out of text, whatever the locale, as Python reads and writes them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace crosscam {

std::string_view trimmed(std::string_view text);

std::vector<std::string_view> split(std::string_view text, char separator);

// A number that is all of the text, blanks around it aside; "nan" and "inf" are numbers. None if it is something else.
std::optional<double> number(std::string_view text);

// With so many digits after the point; rounded to the nearest, to even where two are as near.
std::string fixed(double value, int digits);

// Up to six significant digits, no trailing zeros.
std::string shortest(double value);

// The lines of a file, without their ends.
// Throws Error if it cannot be read.
std::vector<std::string> read_lines(const std::filesystem::path& path);

// Throws Error if it cannot be written.
void write_text(const std::filesystem::path& path, const std::string& text);

}  // namespace crosscam
