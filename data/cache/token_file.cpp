#include "data/cache/token_file.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/mapped_file.h"
#include "core/strict_json.h"
#include "data/all_cores.h"

namespace finetune {
namespace {

using Json = nlohmann::ordered_json;

static_assert(std::endian::native == std::endian::little);
constexpr std::string_view kMagic = "finetune_tune tokens 1\n\n";
constexpr std::size_t kAlign = 8;
static_assert(kMagic.size() % kAlign == 0);
// At the end: the length of the JSON before it, and the hash of all that comes before that hash.
constexpr std::size_t kLength = sizeof(std::uint64_t), kHash = 32;

constexpr auto kCounts = {
    std::pair("records", &Dataset::records),           std::pair("tokens", &Dataset::tokens),
    std::pair("loss_tokens", &Dataset::loss_tokens),   std::pair("truncated", &Dataset::truncated),
    std::pair("dropped_long", &Dataset::dropped_long), std::pair("dropped_no_loss", &Dataset::dropped_no_loss),
    std::pair("straddling", &Dataset::straddling)};
constexpr auto kTexts = {std::pair("format", &Dataset::format), std::pair("format_reason", &Dataset::format_reason),
                         std::pair("chat_template", &Dataset::chat_template)};

template <typename T>
std::string_view bytes_of(const T* values, std::size_t count) {
  return {reinterpret_cast<const char*>(values), count * sizeof(T)};
}

Error damaged(const std::filesystem::path& path) {
  return bad_input(path.string(), "is damaged");
}

Json facts_of(const TokenFileId& id, const Dataset& data, const std::vector<BlockPlace>& places) {
  Json facts{{"key", id.key}, {"date", id.date}, {"reads_date", data.reads_date}, {"columns", data.unused_columns}};
  for (const auto& [name, count] : kCounts) facts[name] = data.*count;
  for (const auto& [name, text] : kTexts) facts[name] = data.*text;
  facts["roles"] = Json::array();
  for (const RoleCount& role : data.roles) facts["roles"].push_back({role.role, role.tokens, role.loss_tokens});
  facts["blocks"] = Json::array();
  for (const BlockPlace& place : places) facts["blocks"].push_back({place.file, place.begin, place.lengths});
  return facts;
}

Dataset dataset_of(const Json& facts) {
  Dataset data;
  data.reads_date = facts.at("reads_date").get<bool>();
  data.unused_columns = facts.at("columns").get<std::vector<std::string>>();
  for (const auto& [name, count] : kCounts) data.*count = facts.at(name).get<std::int64_t>();
  for (const auto& [name, text] : kTexts) data.*text = facts.at(name).get<std::string>();
  for (const Json& role : facts.at("roles"))
    data.roles.push_back(
        {role.at(0).get<std::string>(), role.at(1).get<std::int64_t>(), role.at(2).get<std::int64_t>()});
  return data;
}

std::vector<BlockPlace> places_of(const Json& facts) {
  std::vector<BlockPlace> places;
  for (const Json& one : facts.at("blocks")) {
    places.push_back({.file = one.at(0).get<std::int32_t>(), .begin = one.at(1).get<std::uint64_t>()});
    for (std::size_t k = 0; k < BlockPlace::kColumns; ++k)
      places.back().lengths[k] = one.at(2).at(k).get<std::uint64_t>();
  }
  return places;
}

// None where a column goes beyond `bytes`.
std::shared_ptr<ExampleBlock> map_block(const std::shared_ptr<const MappedFile>& mapped, std::string_view bytes,
                                        const BlockPlace& place) {
  const auto block = std::make_shared<ExampleBlock>();
  block->file = place.file;
  block->owner = mapped;
  std::uint64_t begin = place.begin;
  bool fits = begin % kAlign == 0 && begin <= bytes.size();
  std::size_t k = 0;
  for_each_column(*block, [&]<typename T>(Slice<T>& column) {
    const std::uint64_t length = place.lengths[k++];
    fits = fits && length <= (bytes.size() - begin) / sizeof(T);
    if (!fits) return;
    column = std::span(reinterpret_cast<const T*>(bytes.data() + begin), length);
    begin += length * sizeof(T);
  });
  return fits ? block : nullptr;
}

std::string_view bytes_of(const ExampleBlock& block) {
  const char *begin = nullptr, *end = nullptr;
  for_each_column(block, [&](const auto& column) {
    const std::string_view bytes = bytes_of(column.data(), column.size());
    if (begin == nullptr) begin = bytes.data();
    if (!bytes.empty()) end = bytes.data() + bytes.size();
  });
  return {begin, static_cast<std::size_t>(end - begin)};
}

// Each is of one of the files, in order, and fits together. Pages that have been looked at are given back.
bool settle_all(const std::vector<std::shared_ptr<ExampleBlock>>& blocks, std::size_t files, std::int64_t vocabulary) {
  std::int64_t before = 0;
  for (const auto& block : blocks) {
    if (!block || block->size() == 0 || block->file < before || block->file >= static_cast<std::int64_t>(files))
      return false;
    before = block->file;
  }
  std::atomic<bool> fit = true;
  on_all_cores(blocks.size(), [&](std::size_t i) {
    if (!settle(*blocks[i], vocabulary)) fit = false;
    MappedFile::drop_pages(bytes_of(*blocks[i]));
  });
  return fit;
}

// Beginning and JSON are where they must be, and the hash is right. Returns where the blocks end, and the JSON.
std::pair<std::size_t, Json> open_facts(const std::filesystem::path& path, std::string_view all) {
  if (all.size() < kMagic.size() + kLength + kHash || !all.starts_with(kMagic)) throw damaged(path);
  const std::string_view hashed = all.substr(0, all.size() - kHash);
  if (hash_of_beginning(path, hashed.size()).text() != all.substr(hashed.size())) throw damaged(path);
  std::uint64_t length = 0;
  std::memcpy(&length, hashed.data() + hashed.size() - kLength, kLength);
  if (length > hashed.size() - kLength - kMagic.size()) throw damaged(path);
  const std::size_t end = hashed.size() - kLength - length;
  return {end, parse_strict_json(path.string(), hashed.substr(end, length), 8)};
}

}  // namespace

TokenFileWriter::TokenFileWriter(const std::filesystem::path& path, TokenFileId id) : file_(path), id_(std::move(id)) {
  write(kMagic);
}

void TokenFileWriter::write(std::string_view bytes) {
  file_.write(bytes);
  hash_.add(bytes);
  size_ += bytes.size();
}

void TokenFileWriter::add(const ExampleBlock& block) {
  write(std::string((kAlign - size_ % kAlign) % kAlign, '\0'));
  BlockPlace place{.file = block.file, .begin = size_};
  std::size_t k = 0;
  for_each_column(block, [&](const auto& column) {
    write(bytes_of(column.data(), column.size()));
    place.lengths[k++] = column.size();
  });
  places_.push_back(place);
  extremes_.emplace_back(block.longest, block.highest_id);
}

Examples TokenFileWriter::written() const {
  const auto mapped = std::make_shared<const MappedFile>(file_.temporary());
  Examples examples;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const auto block = map_block(mapped, mapped->bytes(), places_[i]);
    std::tie(block->longest, block->highest_id) = extremes_[i];
    examples.add(block);
  }
  return examples;
}

std::uint64_t TokenFileWriter::commit(const Dataset& data) {
  const std::string text = facts_of(id_, data, places_).dump();
  const std::uint64_t length = text.size();
  write(text);
  write(bytes_of(&length, 1));
  write(hash_.text());
  file_.commit();
  return size_;
}

std::optional<Dataset> read_token_file(const std::filesystem::path& path, const TokenFileId& id, std::size_t files,
                                       std::int64_t vocabulary) {
  const auto mapped = std::make_shared<const MappedFile>(path);
  const auto [end, facts] = open_facts(path, mapped->bytes());
  try {
    if (facts.at("key").get<std::string>() != id.key) throw damaged(path);
    Dataset data = dataset_of(facts);
    if (data.reads_date && facts.at("date").get<std::string>() != id.date) return std::nullopt;
    std::vector<std::shared_ptr<ExampleBlock>> blocks;
    for (const BlockPlace& place : places_of(facts))
      blocks.push_back(map_block(mapped, mapped->bytes().substr(0, end), place));
    if (!settle_all(blocks, files, vocabulary)) throw damaged(path);
    std::int64_t tokens = 0;
    for (auto& block : blocks) {
      tokens += std::ssize(block->ids);
      data.examples.add(std::move(block));
    }
    if (tokens != data.tokens) throw damaged(path);
    return data;
  } catch (const Json::exception&) {
    throw damaged(path);
  }
}

}  // namespace finetune
