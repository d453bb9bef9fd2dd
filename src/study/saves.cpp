#include "study/saves.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "core/content_hash.h"
#include "core/error.h"
#include "core/files.h"
#include "core/folders.h"
#include "core/number.h"
#include "core/strict_json.h"
#include "engine/study_json.h"
#include "study/save_rows.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kSaveFormat = "finetune_tune save";
constexpr int kSaveVersion = 2;

fs::path saves_folder(const fs::path& run) {
  return run / "saves";
}

std::string image_name(std::int64_t number) {
  return fmt::format("image-{:06}.safetensors", number);
}

// The number that follows those of the images that are there.
std::int64_t free_image_number(const fs::path& folder) {
  std::int64_t next = 0;
  if (!fs::exists(folder)) return next;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("image-")) continue;
    const auto number = number_from_text(std::string_view(name).substr(6, name.find('.') - 6));
    if (number && *number >= 0 && *number < 1e15) next = std::max(next, static_cast<std::int64_t>(*number) + 1);
  }
  return next;
}

// A name that comes from a file must be one that lies in saves/.
std::string checked_name(const std::string& where, const std::string& name) {
  if (name.empty() || name.find('/') != std::string::npos || name == "." || name == "..")
    throw bad_input(where, "names a file outside saves/");
  return name;
}

WrittenFile written_of(const Json& image) {
  return {.hash = image.at("hash").get<std::string>(), .bytes = image.at("bytes").get<std::uint64_t>()};
}

Json files_json(const CoveredFiles& files) {
  Json json = Json::object();
  for (const auto& [name, file] : files)
    json[name] = {{"bytes", file.written.bytes}, {"hash", file.written.hash}, {"ended", file.ended}};
  return json;
}

CoveredFiles files_of(const Json& json) {
  CoveredFiles files;
  for (const auto& [name, file] : json.items())
    files[name] = {.written = written_of(file), .ended = file.at("ended").get<bool>()};
  return files;
}

Json parse_state(const fs::path& path, const SaveRow& row) {
  const std::string where = path.string();
  Json json = parse_strict_json(where, read_written(path, row.written));
  if (!json.is_object() || json.value("format", Json()) != kSaveFormat) throw bad_input(where, "is no save of a study");
  if (json.value("version", Json()) != kSaveVersion) throw bad_input(where, "was saved by another version");
  return json;
}

void require_written(const fs::path& path, const WrittenFile& written) {
  if (file_hash(path) != written.hash) throw bad_input(path.string(), "is damaged: it is not what was saved");
}

void require_whole(const fs::path& run, const SaveRow& row) {
  const fs::path folder = saves_folder(run), path = folder / checked_name((run / "study.db").string(), row.name);
  const Json json = parse_state(path, row);
  try {
    for (const auto& [name, image] : json.at("images").items())
      require_written(folder / checked_name(path.string(), name), written_of(image));
  } catch (const nlohmann::json::exception&) {
    throw bad_input(path.string(), "is damaged");
  }
}

}  // namespace

SaveWriter::SaveWriter(const fs::path& run, OnDiskFault on_fault) : SaveWriter(run, run, std::move(on_fault)) {}

SaveWriter::SaveWriter(fs::path run, RecordPlace place, OnDiskFault on_fault)
    : run_(std::move(run)),
      folder_(saves_folder(run_)),
      place_(std::move(place)),
      on_fault_(std::move(on_fault)),
      next_image_(free_image_number(folder_)) {}

void SaveWriter::go_on_from(const SavedStudy& study) {
  SaveRows(place_, on_fault_).forget_after(study.state.rounds);
  last_ = study.names;
  remove_all_but_last();
}

void SaveWriter::write(const SavedStudy& study, const std::vector<fs::path>& changed) {
  make_folders(folder_, on_fault_);
  remove_all_but_last();
  sync_files(changed);
  const std::string name = fmt::format("state-{:06}.json", study.state.rounds);
  write_state(name, study);
  SaveRows(place_, on_fault_).add({.round = study.state.rounds, .name = name, .written = state_});
  on_disk_ = std::exchange(used_, {});
  last_ = {name};
  for (const auto& [image, kept] : on_disk_) last_.insert(kept.name);
}

// The image's file, written where the last save had none of it.
const SaveWriter::OnDisk& SaveWriter::keep(const std::shared_ptr<const TrialImage>& image) {
  const auto [place, is_new] = used_.try_emplace(image.get());
  if (!is_new) return place->second;
  if (const auto found = on_disk_.find(image.get()); found != on_disk_.end() && found->second.image.lock() == image) {
    place->second = found->second;
  } else {
    const std::string name = image_name(next_image_++);
    place->second = {image, name, write_image(folder_ / name, image->parts(), on_fault_)};
  }
  return place->second;
}

void SaveWriter::write_state(const std::string& name, const SavedStudy& study) {
  used_.clear();  // of a save that did not come to its end
  const Json loop = to_json(study.state, [this](const auto& image) { return keep(image).name; });
  Json images = Json::object();
  for (const auto& [image, kept] : used_)
    images[kept.name] = {{"bytes", kept.written.bytes}, {"hash", kept.written.hash}};
  const Json json = {{"format", kSaveFormat},
                     {"version", kSaveVersion},
                     {"seconds", study.seconds},
                     {"evaluation_seconds", study.evaluation_seconds},
                     {"files", files_json(study.files)},
                     {"images", images},
                     {"study", loop}};
  const std::string content = json.dump() + "\n";
  write_file_atomically(folder_ / name, content, on_fault_);
  state_ = {.hash = content_hash(content), .bytes = content.size()};
}

// The save before it, and what one that was cut off has left.
void SaveWriter::remove_all_but_last() {
  std::vector<fs::path> rest;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    if (!last_.contains(entry.path().filename().string())) rest.push_back(entry.path());
  }
  for (const fs::path& path : rest) remove_file(path, on_fault_);
}

std::optional<SaveRow> find_save(const fs::path& run, SaveRows& rows,
                                 const std::function<void(const std::string&)>& say) {
  std::optional<Error> newest;
  for (const SaveRow& row : rows.saves()) {
    try {
      require_whole(run, row);
      if (newest && say) say(fmt::format("{}; the save of round {} is whole", newest->what(), row.round));
      return row;
    } catch (const Error& error) {
      if (!newest) newest = error;
    }
  }
  if (newest) throw *newest;
  return std::nullopt;
}

SavedProgress read_progress(const fs::path& run, const SaveRow& row, std::int64_t steps) {
  const fs::path path = saves_folder(run) / row.name;
  const auto is_under_way = [](const Json& trial) {
    return trial.at("state") == to_text(TrialState::running) || trial.at("state") == to_text(TrialState::paused);
  };
  try {
    const Json json = parse_state(path, row);
    const Json& study = json.at("study");
    SavedProgress progress{.seconds = json.at("seconds").get<double>()};
    for (const Json& trial : study.at("trials")) {
      if (is_under_way(trial))
        progress.begun += trial.at("step").get<double>() / static_cast<double>(steps);
      else
        ++progress.ended;
    }
    const Json& standard = study.at("default_run");
    progress.has_baselines = !standard.is_null() && !is_under_way(standard);
    return progress;
  } catch (const nlohmann::json::exception&) {
    throw bad_input(path.string(), "is damaged");
  }
}

// `lanes` of those that read it; nothing: as many as it had.
static SavedStudy read_save(const fs::path& run, const SaveRow& row, const Lane& lane,
                            std::optional<std::size_t> lanes) {
  const fs::path folder = saves_folder(run), path = folder / checked_name((run / "study.db").string(), row.name);
  const std::string where = path.string();
  const Json json = parse_state(path, row);
  const auto image_of = [&](const std::string& name) {
    const WrittenFile written = written_of(json.at("images").at(name));
    const fs::path file = folder / checked_name(where, name);
    try {
      return lane.image_of(ImageFile(file, written).parts());
    } catch (const Error& error) {
      throw error.at(file.string());
    }
  };
  std::map<std::string, std::shared_ptr<const TrialImage>> images;  // two names of one image stay one
  const auto find = [&](const std::string& name) {
    auto& image = images[name];
    if (!image) image = image_of(name);
    return image;
  };
  try {
    SavedStudy study;
    study.state =
        study_from_json(json.at("study"), lanes.value_or(json.at("study").at("tokens_per_pass").size()), find);
    study.files = files_of(json.at("files"));
    study.seconds = json.at("seconds").get<double>();
    study.evaluation_seconds = json.at("evaluation_seconds").get<double>();
    study.names.insert(row.name);
    for (const auto& [name, image] : json.at("images").items()) study.names.insert(name);
    return study;
  } catch (const Error& error) {
    throw error.at(where);
  } catch (const nlohmann::json::exception&) {
    throw bad_input(where, "is damaged");
  }
}

SavedStudy read_save(const fs::path& run, const SaveRow& row, const std::vector<Lane*>& lanes) {
  return read_save(run, row, *lanes.front(), lanes.size());
}

SavedStudy read_save_of_others(const fs::path& run, const SaveRow& row, const Lane& lane) {
  return read_save(run, row, lane, std::nullopt);
}

void remove_saves(const fs::path& run, const OnDiskFault& on_fault) {
  remove_tree(saves_folder(run), on_fault);
}

}  // namespace finetune
