#include "engine/calibration/calibrate_apart.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "core/error.h"
#include "core/files.h"
#include "core/folders.h"
#include "core/own_file.h"
#include "core/program.h"
#include "core/strict_json.h"
#include "core/text.h"
#include "engine/kernel_choice.h"

namespace finetune {
namespace {

constexpr std::uint64_t kLargestResult = 1 << 20;

// The last thing that it said, in one line; "" if nothing.
std::string last_line(const std::string& text) {
  const auto end = text.find_last_not_of(" \n\r\t");
  if (end == std::string::npos) return "";
  const auto begin = text.find_last_of('\n', end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1, end - (begin == std::string::npos ? -1 : begin));
}

std::string summary(const Calibration& found, const ops::KernelTable& table) {
  std::vector<std::string> wrong;
  for (const Measured& one : found.operations) {
    if (one.is_wrong) wrong.push_back(std::string(ops::name_of(one.operation)) + " " + one.why);
  }
  const std::vector<std::string> names = names_of(table);
  return (names.empty() ? "the composition everywhere" : join(names, ", ")) +
         (wrong.empty() ? "" : "; not " + join(wrong, "; "));
}

}  // namespace

CalibrationProgram calibration_program() {
  const std::filesystem::path program = own_program();
  if (program.empty()) return {};
  return {.words = {program.string(), "calibrate"}};
}

Calibration calibrate_apart(const CalibrationRequest& request, const CalibrationProgram& program) {
  if (program.words.empty())
    throw failed("", "only the program finetune_tune can measure kernels in a process of its own");
  const TemporaryFolder folder;
  const std::string result = (folder.path() / "calibration.json").string();
  std::vector<std::string> words = program.words;
  words.insert(words.end(), {"--request", to_json(request).dump(), "--result", result});
  const ProgramResult ended = run_program(words, {.seconds = program.seconds, .interrupted = program.interrupted});
  if (ended.interrupted) throw Interrupted();
  if (!ended.problem.empty()) {
    const std::string words_of_it = last_line(ended.error);
    throw failed(
        "", "the process that measures them " + ended.problem + (words_of_it.empty() ? "" : " (" + words_of_it + ")"));
  }
  try {
    return calibration_from_json("its result", parse_strict_json("its result", read_file(result, kLargestResult)));
  } catch (const Error& error) {
    throw failed("", std::string("the process that measures them left nothing of use: ") + error.what());
  }
}

ops::KernelTable calibrated_kernels(const CalibrationRequest& request, const CalibrationCache& cache,
                                    const CalibrationProgram& program, const CalibrationWords& words) {
  const auto key = calibration_key(request);
  if (const auto kept = cache.find(key)) return table_of(*kept);
  if (words.now) {
    words.now(fmt::format("measuring kernels on {}, once for this model, device and program: {} s at most",
                          request.device, program.seconds));
  }
  try {
    const Calibration found = calibrate_apart(request, program);
    const ops::KernelTable table = table_of(found);
    words.note(fmt::format("run.kernels auto: kernels were measured on {}: {}", request.device, summary(found, table)));
    cache.keep(key, found);
    return table;
  } catch (const Error& error) {
    words.note(
        fmt::format("run.kernels auto: LibTorch's operations, since kernels could not be measured on {}: {}; "
                    "run.kernels=composition spares the try",
                    request.device, error.what()));
    return ops::KernelTable::composition();
  }
}

}  // namespace finetune
