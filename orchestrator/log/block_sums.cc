#include "orchestrator/log/block_sums.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "orchestrator/log/crc32c.h"
#include "process/fd.h"
#include "process/log.h"
#include "process/regular_file.h"

namespace reeve {

namespace {

constexpr std::string_view kSegmentSuffix = ".sse";
constexpr size_t kHeadBytes = 512;  // more than the id, the type and the agent of a frame

static_assert(std::endian::native == std::endian::little);

std::string_view BytesOf(const auto& value) { return {reinterpret_cast<const char*>(&value), sizeof value}; }

// The number that follows `name` in `text`.
std::optional<uint64_t> NumberAfter(std::string_view text, std::string_view name) {
  const size_t found = text.find(name);
  if (found == std::string_view::npos) return std::nullopt;
  text.remove_prefix(found + name.size());
  uint64_t number = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), number).ec != std::errc()) return std::nullopt;
  return number;
}

// The sums are of another segment of the same name, which a daemon that knows no sums has replaced by this
// one: its first event names another epoch, and does so twice.
bool OfAnotherEpoch(int segment, uint64_t epoch) {
  char buffer[kHeadBytes];
  const ssize_t got = pread(segment, buffer, sizeof buffer, 0);
  const std::string_view head(buffer, got > 0 ? static_cast<size_t>(got) : 0);
  if (!head.starts_with("id: ")) return false;
  const auto id = NumberAfter(head, "id: ");
  return id && *id != epoch && id == NumberAfter(head, "\",\"epoch\":");
}

}  // namespace

// ------------------------------------------------------------------------------------------------ the sums

std::string BlockSums::PathFor(const std::string& segment_path) {
  return segment_path.substr(0, segment_path.size() - kSegmentSuffix.size()) + ".sums";
}

uint32_t BlockSums::Check(size_t index) const {
  const uint64_t place[] = {first_seq_, index};
  std::string_view record = BytesOf(records_[index]);
  record.remove_suffix(sizeof records_[index].check);
  return Crc32c(record, Crc32c(BytesOf(place)));
}

BlockSums BlockSums::Load(const std::string& path, uint64_t first_seq) {
  BlockSums sums(first_seq, 0);
  auto segment = OpenRegularFile(path, O_RDONLY);
  auto file = OpenRegularFile(PathFor(path), O_RDONLY);
  struct stat info {};
  if (!segment || !file || fstat(segment->get(), &info) != 0) return sums;
  sums.records_.resize((static_cast<uint64_t>(info.st_size) + kRecordBytes - 1) / kRecordBytes);
  char* const into = reinterpret_cast<char*>(sums.records_.data());
  size_t have = 0;
  for (ssize_t got = 1; got > 0; have += static_cast<size_t>(got)) {
    got = pread(file->get(), into + have, sums.records_.size() * sizeof(Record) - have,
                static_cast<off_t>(have));
    if (got < 0) break;
  }
  sums.records_.resize(have / sizeof(Record));
  for (size_t index = 0; index < sums.records_.size(); ++index) {
    Record& record = sums.records_[index];
    const bool valid = record.format == Record().format && record.check == sums.Check(index) &&
                       record.bytes > index * kRecordBytes &&
                       (sums.epoch_ == 0 || sums.epoch_ == record.epoch);
    if (valid) {
      sums.epoch_ = record.epoch;
    } else {
      record = {};
    }
  }
  if (sums.epoch_ == 0 || OfAnotherEpoch(segment->get(), sums.epoch_)) return {first_seq, 0};
  sums.saved_ = sums.records_.size();
  return sums;
}

void BlockSums::Add(std::string_view bytes, uint64_t last) {
  uint64_t end = this->bytes();
  // A record that is full is left alone. The part of one that was written before it was full must be written
  // again.
  saved_ = std::min<size_t>(saved_, end / kRecordBytes);
  while (!bytes.empty()) {
    if (end == records_.size() * kRecordBytes) records_.emplace_back();
    const std::string_view part = bytes.substr(0, kBlockBytes - end % kBlockBytes);
    uint32_t& sum = records_.back().sums[end % kRecordBytes / kBlockBytes];
    sum = Crc32c(part, sum);
    bytes.remove_prefix(part.size());
    end += part.size();
    records_.back().bytes = end;
  }
  if (!records_.empty()) records_.back().last = last;
}

void BlockSums::Settle(std::string_view bytes, uint64_t epoch, uint64_t last) {
  std::vector<Record> settled((bytes.size() + kRecordBytes - 1) / kRecordBytes);
  bool same = complete() && this->bytes() == bytes.size() && this->last() == last;
  for (uint64_t at = 0; at < bytes.size(); at += kBlockBytes) {
    const std::string_view block = bytes.substr(at, kBlockBytes);
    uint64_t covered = Covered(at / kBlockBytes);
    if (covered > block.size()) covered = 0;  // it has been cut
    same = same && covered == block.size();
    uint32_t& sum = settled[at / kRecordBytes].sums[at % kRecordBytes / kBlockBytes];
    if (covered > 0) sum = records_[at / kRecordBytes].sums[at % kRecordBytes / kBlockBytes];
    sum = Crc32c(block.substr(covered), sum);
  }
  for (size_t index = 0; index < settled.size(); ++index) {
    settled[index].bytes = std::min<uint64_t>(bytes.size(), (index + 1) * kRecordBytes);
    settled[index].last = last;
  }
  records_ = std::move(settled);
  epoch_ = epoch;
  if (!same) saved_ = 0;
}

Status BlockSums::Save(const std::string& path) {
  if (saved_ >= records_.size()) return {};
  const std::string name = PathFor(path);
  // The records replace those in the file one by one, as each has its own check: if the disk does not take
  // them, the earlier ones stay.
  auto file = OpenRegularFile(name, O_WRONLY | O_CREAT);
  if (!file) return file.error();
  for (size_t index = saved_; index < records_.size(); ++index) {
    Record& record = records_[index];
    record.epoch = epoch_;
    record.bytes = bytes();
    record.last = last();
    record.check = Check(index);
  }
  const size_t size = (records_.size() - saved_) * sizeof(Record);
  const ssize_t written =
      pwrite(file->get(), &records_[saved_], size, static_cast<off_t>(saved_ * sizeof(Record)));
  if (written != static_cast<ssize_t>(size)) return OsError("write " + name, written < 0 ? errno : ENOSPC);
  if (ftruncate(file->get(), static_cast<off_t>(records_.size() * sizeof(Record))) != 0) {
    return OsError("cut " + name, errno);
  }
  saved_ = records_.size();
  return {};
}

uint64_t BlockSums::Covered(uint64_t block) const {
  const uint64_t index = block / kBlocks;
  if (index >= records_.size() || records_[index].bytes <= block * kBlockBytes) return 0;
  return std::min(kBlockBytes, records_[index].bytes - block * kBlockBytes);
}

bool BlockSums::Matches(uint64_t offset, std::string_view bytes) const {
  const uint64_t block = offset / kBlockBytes;
  const uint64_t covered = Covered(block);
  if (covered == 0 || covered > bytes.size()) return true;
  return Crc32c(bytes.substr(0, covered)) == records_[block / kBlocks].sums[block % kBlocks];
}

// The sums of a record are those of a moment. If later records are not valid, or are missing, its `bytes` and
// `last` point beyond the sums that are known.
bool BlockSums::complete() const {
  return !records_.empty() && bytes() > (records_.size() - 1) * kRecordBytes &&
         bytes() <= records_.size() * kRecordBytes;
}

// ----------------------------------------------------------------------------------------- what they are for

void DamageReports::Report(const std::string& path, uint64_t offset) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (reported_.size() >= kMax || !reported_.emplace(path, offset).second) return;
  }
  log::Failure("{}: the block at byte {} is damaged; its events are not shown", path, offset);
}

size_t DamageReports::count() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return reported_.size();
}

Result<SegmentPart> SegmentFile::Read(uint64_t offset, size_t size, int flags, std::string& buffer) const {
  constexpr uint64_t kBlock = BlockSums::kBlockBytes;
  const uint64_t begin = offset - offset % kBlock;
  const uint64_t end = std::min(bytes, (offset + size + kBlock - 1) / kBlock * kBlock);
  if (buffer.size() < end - begin) buffer.resize(end - begin);
  const iovec into = {buffer.data(), end - begin};
  ssize_t n = preadv2(fd, &into, 1, static_cast<off_t>(begin), flags);
  if (n < 0 && errno == EAGAIN) return Error{"cold", ""};
  if (n < 0 && errno == EOPNOTSUPP)  // not every file system supports RWF_NOWAIT
    n = preadv(fd, &into, 1, static_cast<off_t>(begin));
  if (n <= 0) return OsError("read " + path, n < 0 ? errno : EIO);
  const std::string_view got(buffer.data(), static_cast<size_t>(n));
  uint64_t good = begin;
  while (good < begin + got.size()) {
    const uint64_t block_end = std::min(good + kBlock, end);
    if (block_end > begin + got.size()) break;  // the read was short
    if (!sums.Matches(good, got.substr(good - begin, block_end - good))) {
      reports.Report(path, good);
      if (good <= offset) return SegmentPart{{}, block_end - offset};
      break;
    }
    good = block_end;
  }
  if (good > offset) return SegmentPart{got.substr(offset - begin, good - offset), 0};
  // The read ended within the first block: the page cache has no more of it, or the file ends there.
  struct stat info {};
  if (flags != 0 && fstat(fd, &info) == 0 &&
      static_cast<uint64_t>(info.st_size) >= std::min(begin + kBlock, bytes)) {
    return Error{"cold", ""};
  }
  return Error{OsError("", EIO).code, "read " + path + ": the file has become shorter"};
}

}  // namespace reeve
