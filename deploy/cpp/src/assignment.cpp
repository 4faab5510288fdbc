#include "assignment.h"

#include <algorithm>

namespace crosscam {
namespace {

// Settles contested choices. Row i has the pairs start[i] to start[i + 1]; u and v are the prices of rows and columns,
// at first -gain of a row's first choice. Dijkstra from each contested row, over columns at reduced costs; a path may
// end at a free column, or at a row that gives up its column and stays alone.
class Settlement {
 public:
  Settlement(std::vector<int>& match, std::vector<int>& owner, const std::vector<Pair>& pairs)
      : match_(match),
        owner_(owner),
        pairs_(pairs),
        start_(match.size() + 1, 0),
        u_(match.size(), 0.0),
        v_(owner.size(), 0.0),
        distance_(owner.size(), 0.0),
        came_from_(owner.size(), -1),
        mark_(owner.size(), Mark::kUnseen) {
    for (int e = 0; e < static_cast<int>(pairs.size()); ++e) {
      start_[pairs[e].row + 1] = e + 1;
      u_[pairs[e].row] = std::min(u_[pairs[e].row], -pairs[e].gain);
    }
    for (std::size_t i = 0; i < match.size(); ++i) start_[i + 1] = std::max(start_[i + 1], start_[i]);
  }

  void run() {
    std::vector<int> contested;
    for (int i = 0; i < static_cast<int>(match_.size()); ++i) {
      if (match_[i] < 0 && u_[i] < 0.0) contested.push_back(i);
    }
    for (int row : contested) settle(row);
  }

 private:
  enum class Mark : char { kUnseen, kReached, kFinal };

  void settle(int first) {
    reached_.clear();
    int i = first, sink = -1, quitter = first;
    double lowest = 0.0, alone = -u_[first];
    for (;;) {
      reach_from(i, lowest);
      int nearest = -1;
      for (int j : reached_) {
        if (mark_[j] == Mark::kReached && (nearest < 0 || distance_[j] < distance_[nearest])) nearest = j;
      }
      if (nearest < 0 || distance_[nearest] >= alone) {
        lowest = alone;
        break;
      }
      lowest = distance_[nearest];
      if (owner_[nearest] < 0) {
        sink = nearest;
        break;
      }
      mark_[nearest] = Mark::kFinal;
      i = owner_[nearest];
      if (lowest - u_[i] < alone) {
        alone = lowest - u_[i];
        quitter = i;
      }
    }
    u_[first] += lowest;
    for (int j : reached_) {
      if (mark_[j] == Mark::kFinal) {
        u_[owner_[j]] += lowest - distance_[j];
        v_[j] -= lowest - distance_[j];
      }
      mark_[j] = Mark::kUnseen;
    }
    if (sink < 0) {
      if (quitter == first) return;
      sink = match_[quitter];
      match_[quitter] = -1;
    }
    for (;;) {
      i = came_from_[sink];
      owner_[sink] = i;
      std::swap(match_[i], sink);
      if (i == first) break;
    }
  }

  void reach_from(int i, double lowest) {
    for (int e = start_[i]; e < start_[i + 1]; ++e) {
      const int j = pairs_[e].column;
      if (pairs_[e].gain <= 0.0 || mark_[j] == Mark::kFinal) continue;
      const double through = lowest - pairs_[e].gain - u_[i] - v_[j];
      if (mark_[j] == Mark::kUnseen) {
        mark_[j] = Mark::kReached;
        reached_.push_back(j);
      } else if (through >= distance_[j]) {
        continue;
      }
      distance_[j] = through;
      came_from_[j] = i;
    }
  }

  std::vector<int>& match_;
  std::vector<int>& owner_;
  const std::vector<Pair>& pairs_;
  std::vector<int> start_;
  std::vector<double> u_, v_, distance_;
  std::vector<int> came_from_, reached_;
  std::vector<Mark> mark_;
};

}  // namespace

std::vector<int> assign(int rows, int columns, const std::vector<Pair>& pairs) {
  std::vector<int> match(rows, -1), owner(columns, -1);
  bool contested = false;
  std::size_t e = 0;
  for (int i = 0; i < rows; ++i) {
    int best = -1;
    double most = 0.0;
    for (; e < pairs.size() && pairs[e].row == i; ++e) {
      if (pairs[e].gain > most) {
        best = pairs[e].column;
        most = pairs[e].gain;
      }
    }
    if (best < 0) continue;
    if (owner[best] < 0) {
      owner[best] = i;
      match[i] = best;
    } else {
      contested = true;
    }
  }
  if (contested) Settlement(match, owner, pairs).run();
  return match;
}

}  // namespace crosscam
