#include "engine/calibration/calibration_cache.h"

#include <torch/headeronly/version.h>

#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

#include "core/content_hash.h"
#include "core/error.h"
#include "core/file_lock.h"
#include "core/files.h"
#include "core/folders.h"
#include "core/own_file.h"
#include "core/strict_json.h"
#include "engine/devices.h"
#include "kernels/torch/gpu.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;

constexpr int kCacheVersion = 1;
constexpr std::size_t kMostCalibrations = 32;
constexpr int kLockTries = 20;
constexpr auto kLockPause = std::chrono::milliseconds(50);
constexpr std::uint64_t kLargestCache = 8 << 20;

std::optional<FileLock> lock_soon(const fs::path& path) {
  for (int tries = 0; tries < kLockTries; ++tries) {
    if (auto lock = FileLock::try_lock(path)) return lock;
    std::this_thread::sleep_for(kLockPause);
  }
  return std::nullopt;
}

}  // namespace

nlohmann::ordered_json calibration_key(const CalibrationRequest& request) {
  const at::Device device(request.device);
  const ops::GpuFacts gpu = ops::gpu_facts(device);
  return {{"device", name_of_device(device)},
          {"multiprocessors", gpu.multiprocessors},
          {"driver", device.is_cpu() ? "" : gpu_driver()},
          {"libtorch", TORCH_VERSION},
          {"program", file_hash(own_file())},
          {"dtype", to_json(request)["dtype"]},
          {"shape", to_json(request.shape)}};
}

CalibrationCache::CalibrationCache(fs::path folder, Say say) : folder_(std::move(folder)), say_(std::move(say)) {}

nlohmann::ordered_json CalibrationCache::entries() const {
  std::error_code unknown;
  if (folder_.empty() || !fs::exists(file(), unknown)) return nlohmann::ordered_json::array();
  const auto json = parse_strict_json(file().string(), read_file(file(), kLargestCache));
  const bool known = json.is_object() && json.contains("version") && json["version"] == kCacheVersion &&
                     json.contains("entries") && json["entries"].is_array();
  if (!known) throw bad_input(file().string(), "is not a file of calibrations that this program knows");
  return json["entries"];
}

std::optional<Calibration> CalibrationCache::find(const nlohmann::ordered_json& key) const {
  try {
    const auto all = entries();
    for (auto entry = all.rbegin(); entry != all.rend(); ++entry) {  // the newest first
      if (entry->is_object() && entry->contains("key") && (*entry)["key"] == key && entry->contains("calibration"))
        return calibration_from_json(file().string(), (*entry)["calibration"]);
    }
  } catch (const Error& error) {
    say_(std::string("kernels are measured again: ") + error.what());
  }
  return std::nullopt;
}

void CalibrationCache::keep(const nlohmann::ordered_json& key, const Calibration& calibration) const {
  const std::string not_kept = "what was measured of kernels is not kept for the next run: ";
  if (folder_.empty()) return say_(not_kept + "neither XDG_CACHE_HOME nor HOME is an absolute path");
  try {
    make_folders(folder_);
    const auto lock = lock_soon(folder_ / "kernels.lock");
    if (!lock) return say_(not_kept + "another run is writing to " + folder_.string());
    auto kept = nlohmann::ordered_json::array();
    try {
      for (const auto& entry : entries()) {
        if (!entry.is_object() || !entry.contains("key") || entry["key"] != key) kept.push_back(entry);
      }
    } catch (const Error&) {  // damaged: it was said when it was read, and is replaced
      kept.clear();
    }
    kept.push_back({{"key", key}, {"calibration", to_json(calibration)}});
    while (kept.size() > kMostCalibrations) kept.erase(0);
    const nlohmann::ordered_json whole{{"version", kCacheVersion}, {"entries", kept}};
    write_file_atomically(file(), whole.dump(1) + "\n");
  } catch (const Error& error) {
    say_(not_kept + error.what());
  }
}

}  // namespace finetune
