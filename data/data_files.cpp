#include "data/data_files.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>

#include "core/error.h"
#include "core/text.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostNamed = 3;

struct SplitWord {
  std::string_view word;
  Split split;
};
constexpr SplitWord kSplitWords[] = {
    {"train", Split::train}, {"training", Split::train}, {"validation", Split::valid}, {"valid", Split::valid},
    {"val", Split::valid},   {"dev", Split::valid},      {"test", Split::test},        {"testing", Split::test},
    {"eval", Split::test},   {"evaluation", Split::test}};

struct Found {
  fs::path path, inside;  // as it is opened, and as it is called in the folder
  std::optional<Split> split;
};

// What lies in a folder.
struct Listing {
  std::vector<Found> data, texts;  // texts: .txt
  std::vector<std::string> other;
  bool saved_to_disk = false;
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// By the words of a name: "sst2_train-00000-of-00002" says train, "trained" says nothing.
std::optional<Split> split_in(const std::string& name) {
  const std::string text = lower(name);
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = begin;
    while (end < text.size() && std::isalpha(static_cast<unsigned char>(text[end])) != 0) ++end;
    for (const auto& [word, split] : kSplitWords) {
      if (std::string_view(text).substr(begin, end - begin) == word) return split;
    }
    begin = end + 1;
  }
  return std::nullopt;
}

// The file's own name says it, else the nearest folder's.
std::optional<Split> split_of(const fs::path& inside) {
  std::optional<Split> split = split_in(inside.stem().string());
  for (fs::path folder = inside.parent_path(); !split && !folder.empty(); folder = folder.parent_path())
    split = split_in(folder.filename().string());
  return split;
}

bool is_description(const std::string& name) {
  constexpr std::array kNames = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"};
  return std::ranges::count(kNames, name) > 0;
}

void put(Listing& listing, const fs::path& path, const fs::path& inside) {
  constexpr std::array kRead = {".jsonl", ".json", ".csv", ".tsv", ".parquet"};
  const std::string ending = lower(path.extension().string()), name = path.filename().string();
  if (is_description(name) || (std::ranges::count(kRead, ending) == 0 && ending != ".txt")) {
    listing.saved_to_disk = listing.saved_to_disk || ending == ".arrow";
    listing.other.push_back(inside.string());
  } else {
    (ending == ".txt" ? listing.texts : listing.data).push_back({path, inside, split_of(inside)});
  }
}

Listing list_folder(const fs::path& folder) {
  Listing listing;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    const bool hidden = entry->path().filename().string().starts_with(".");
    std::error_code gone;
    if (hidden && entry->is_directory(gone)) entry.disable_recursion_pending();
    if (!hidden && entry->is_regular_file(gone)) put(listing, entry->path(), entry->path().lexically_relative(folder));
  }
  if (error) throw bad_input(folder.string(), "cannot be listed: " + error.message());
  if (listing.data.empty())
    listing.data.swap(listing.texts);
  else
    for (const Found& text : listing.texts) listing.other.push_back(text.inside.string());
  std::ranges::sort(listing.data, {}, [](const Found& file) { return file.inside.string(); });
  std::ranges::sort(listing.other);
  return listing;
}

std::string first_of(const std::vector<std::string>& names) {
  const std::vector<std::string> first(names.begin(),
                                       names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kMostNamed)));
  return join(first, ", ") +
         (names.size() > kMostNamed ? " and " + std::to_string(names.size() - kMostNamed) + " more" : "");
}

std::vector<std::string> names_of(const std::vector<Found>& files) {
  std::vector<std::string> names;
  for (const Found& file : files) names.push_back(file.inside.string());
  return names;
}

void require_data(const fs::path& folder, const Listing& listing) {
  if (!listing.data.empty()) return;
  if (listing.saved_to_disk)
    throw bad_input(folder.string(),
                    "is a folder of datasets.save_to_disk, whose Arrow files are not read; write it as JSON lines: "
                    "python -c \"import datasets; datasets.load_from_disk('" +
                        folder.string() + "').to_json('data.jsonl')\", of a DatasetDict one split after the other");
  throw bad_input(folder.string(), "holds no .jsonl, .json, .csv, .tsv, .txt or .parquet file" +
                                       (listing.other.empty() ? "" : ", only " + first_of(listing.other)));
}

// Which of the splits that a folder names is read; nothing: files that name none.
std::optional<Split> wanted(const fs::path& folder, const Listing& listing, Split split) {
  const auto has = [&](std::optional<Split> one) { return std::ranges::count(listing.data, one, &Found::split) > 0; };
  if (has(split)) return split;
  if (split == Split::valid && has(Split::test)) return Split::test;
  const bool names_some = has(Split::train) || has(Split::valid) || has(Split::test);
  if (!names_some || (split == Split::train && has(std::nullopt))) return std::nullopt;
  const std::string missing = split == Split::train   ? "training"
                              : split == Split::valid ? "validation and no test"
                                                      : "test";
  throw bad_input(folder.string(), "has no " + missing + " split, only " + first_of(names_of(listing.data)) +
                                       "; name the files themselves" +
                                       (split == Split::valid ? ", or set data.valid_fraction" : ""));
}

// Subsets of one data set, each with its splits, lie in folders side by side (gsm8k: main, socratic).
void require_one_set(const fs::path& folder, const std::vector<Found>& taken) {
  std::set<std::string> sets;
  for (const Found& file : taken) {
    const std::string first = std::next(file.inside.begin()) == file.inside.end() ? "" : file.inside.begin()->string();
    sets.insert(first.empty() || first == "data" || split_in(first) ? "" : first);
  }
  if (sets.size() < 2) return;
  std::vector<std::string> names;
  for (const std::string& name : sets) names.push_back(name.empty() ? "the folder itself" : name);
  throw bad_input(folder.string(),
                  "holds several data sets with splits of their own: " + join(names, ", ") + "; name one of them");
}

std::string note_of(const std::vector<Found>& taken, const std::vector<std::string>& passed_over,
                    std::optional<Split> split) {
  const std::string name = split == Split::train   ? "the training split: "
                           : split == Split::valid ? "the validation split: "
                           : split == Split::test  ? "the test split: "
                                                   : "";
  return name + std::to_string(taken.size()) + (taken.size() == 1 ? " file (" : " files (") +
         first_of(names_of(taken)) + ")" + (passed_over.empty() ? "" : "; passed over: " + first_of(passed_over));
}

}  // namespace

DataFiles data_files(const std::string& path, Split split) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return {{path}, ""};
  Listing listing = list_folder(path);
  require_data(path, listing);
  const std::optional<Split> taken_split = wanted(path, listing, split);
  std::vector<Found> taken;
  std::vector<std::string> passed_over;
  for (Found& file : listing.data) {
    if (file.split == taken_split)
      taken.push_back(file);
    else
      passed_over.push_back(file.inside.string());
  }
  if (taken_split) require_one_set(path, taken);
  passed_over.insert(passed_over.end(), listing.other.begin(), listing.other.end());
  DataFiles found{.note = note_of(taken, passed_over, taken_split)};
  for (const Found& file : taken) found.files.push_back(file.path.string());
  return found;
}

std::vector<std::string> data_files(const std::vector<std::string>& paths, Split split, const std::string& key,
                                    std::vector<std::string>& notes) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    const DataFiles found = data_files(path, split);
    if (!found.note.empty()) notes.push_back(key + ": " + path + ": " + found.note);
    files.insert(files.end(), found.files.begin(), found.files.end());
  }
  return files;
}

}  // namespace finetune
