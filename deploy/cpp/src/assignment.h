// Which track takes which detection, so that the gains add up to the most; see operators/track/core/assignment.py.
#pragma once

#include <vector>

namespace crosscam {

// A track (by its place in a list of rows), a detection (by its place in a list of columns), and what both together
// are worth. Pairs are kept sorted by row.
struct Pair {
  int row;
  int column;
  double gain;
};

// The column of each row, -1 where it stays alone. Pairs without positive gain are not used.
//
// Shortest augmenting paths (Jonker and Volgenant 1987) over the listed pairs only, after whoever can have its first
// choice has taken it.
std::vector<int> assign(int rows, int columns, const std::vector<Pair>& pairs);

}  // namespace crosscam
