#include "tests/bench/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace reeve::bench {

namespace {

double MedianOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

std::string Text(const Metric& metric) {
  return std::isfinite(metric.value) ? fmt::format("{:.{}f}", metric.value, metric.decimals) : "–";
}

// All rounds of each number, put through `combine(round, number)`.
template <typename Combine>
Metrics MedianBy(const std::vector<Metrics>& rounds, Combine&& combine) {
  Metrics result = rounds.at(0);
  for (size_t i = 0; i < result.size(); ++i) {
    std::vector<double> values;
    for (size_t round = 0; round < rounds.size(); ++round) values.push_back(combine(round, i));
    result[i].value = MedianOf(values);
  }
  return result;
}

}  // namespace

Metrics Median(const std::vector<Metrics>& rounds) {
  return MedianBy(rounds, [&](size_t round, size_t i) { return rounds[round][i].value; });
}

Metrics MedianRatio(const std::vector<Metrics>& over, const std::vector<Metrics>& under) {
  Metrics ratios =
      MedianBy(over, [&](size_t round, size_t i) { return over[round][i].value / under[round][i].value; });
  for (Metric& ratio : ratios) {
    ratio.decimals = 2;
    if (!ratio.compared) ratio.value = NAN;
  }
  return ratios;
}

void Report::Begin(const std::string& benchmark, const std::string& row) {
  benchmark_ = benchmark;
  row_ = row;
  lines_.clear();
}

void Report::Add(const std::string& subject, const Metrics& metrics) {
  lines_.push_back({subject, metrics});
  if (!json_) return;
  fmt::print(R"({{"benchmark":"{}","row":"{}","subject":"{}")", benchmark_, row_, subject);
  for (const Metric& metric : metrics) {
    if (std::isfinite(metric.value))
      fmt::print(R"(,"{}":{:.{}f})", metric.name, metric.value, metric.decimals + 2);
  }
  fmt::print("}}\n");
  std::fflush(stdout);
}

void Report::End() {
  if (json_ || lines_.empty()) return;
  size_t first = row_.size();
  for (const Line& line : lines_) first = std::max(first, line.subject.size());
  fmt::print("\n{:<{}}", row_, first);
  const Metrics& columns = lines_[0].metrics;
  for (const Metric& column : columns) fmt::print("  {:>9}", column.name);
  fmt::print("\n");
  for (const Line& line : lines_) {
    fmt::print("{:<{}}", line.subject, first);
    for (const Metric& metric : line.metrics) {
      fmt::print("  {:>{}}", Text(metric), std::max<size_t>(9, std::string_view(metric.name).size()));
    }
    fmt::print("\n");
  }
  std::fflush(stdout);
}

void Report::Note(const std::string& text) { fmt::print(stderr, "{}\n", text); }

}  // namespace reeve::bench
