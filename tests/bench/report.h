// Report: rows of named numbers, printed as tables for people or as JSON, one object a line, for programs.
#pragma once

#include <string>
#include <vector>

namespace reeve::bench {

struct Metric {
  const char* name;  // with its unit
  double value;
  int decimals;
  bool compared = false;  // a ratio of it says something
};
using Metrics = std::vector<Metric>;  // of one kind of row: always the same names in the same order

// Number by number.
Metrics Median(const std::vector<Metrics>& rounds);
// The median of the ratios of each round; of numbers that are not compared, nothing.
Metrics MedianRatio(const std::vector<Metrics>& over, const std::vector<Metrics>& under);

class Report {
 public:
  explicit Report(bool json) : json_(json) {}
  // Begins a table; `benchmark` and `row` go into each JSON object.
  void Begin(const std::string& benchmark, const std::string& row);
  void Add(const std::string& subject, const Metrics& metrics);
  // Prints the table.
  void End();
  // A note that the reader must see; written to stderr at once.
  static void Note(const std::string& text);

 private:
  struct Line {
    std::string subject;
    Metrics metrics;
  };
  bool json_;
  std::string benchmark_;
  std::string row_;
  std::vector<Line> lines_;
};

}  // namespace reeve::bench
