#include "cli/show_doctor.h"

#include <fmt/format.h>
#include <torch/headeronly/version.h>

#include <ostream>

#include "core/text.h"
#include "core/text_table.h"
#include "core/version.h"
#include "engine/kernel_choice.h"
#include "engine/precision.h"

namespace finetune {
namespace {

constexpr double kGigabyte = 1e9;
constexpr std::size_t kPage = 110;  // columns of prose where there is no terminal

std::string gigabytes(double bytes) {
  return fmt::format("{:.{}f} GB", bytes / kGigabyte, bytes < 10 * kGigabyte ? 1 : 0);
}

// A text that ends with a line end, however wide it is.
void put(std::ostream& out, const std::string& text, std::size_t width) {
  for (const std::string& line : wrapped_lines(text, width)) out << line << "\n";
}

void show_gpus(std::ostream& out, const MachineReport& report, std::size_t width) {
  const Gpus& gpus = report.gpus;
  const std::string driver = report.driver.empty() ? "" : ", driver for CUDA " + report.driver;
  if (gpus.count > 0)
    out << fmt::format("GPUs: {}{}\n", gpus.count, driver);
  else if (gpus.driver)
    out << "GPUs: none that can be used" << driver << "\n";
  else
    out << "GPUs: none: there is no NVIDIA driver\n";
  if (!gpus.problem.empty()) put(out, "LibTorch's CUDA half: " + gpus.problem, width);
  if (!report.graphs.empty()) put(out, "graphs: none: " + report.graphs, width);
}

// Of a processor: tables below are of float32, in which all else of a step is computed there.
std::string bfloat16_text(const DeviceReport& device) {
  if (device.bfloat16.empty()) return "bfloat16 products: none: there is neither AMX nor AVX512-BF16";
  return "bfloat16 products: with " + device.bfloat16 + ", of a base in bfloat16; float32 is what is tried below";
}

std::string auto_text(const DeviceReport& device) {
  const bool here = device.name == "cpu";
  return fmt::format("model.dtype auto: {}: {}{}", dtype_name(device.auto_dtype), device.auto_why,
                     here && device.auto_dtype == at::kBFloat16 ? "; float32 for full fine-tuning" : "");
}

TableRow operation_row(const DeviceReport& device, const Measured& one) {
  return {ops::name_of(one.operation),
          with_commas(one.rows),
          short_time(one.composition_s),
          one.written_s > 0 ? short_time(one.written_s) : "-",
          fmt::format("{:.0f} %", 100 * share_of_ceiling(device, one)),
          one.has_kernel ? fmt::format("{:.1e}", one.error) : "-",
          one.takes_written ? "written" : "composition",
          one.why};
}

void show_operations(std::ostream& out, const DeviceReport& device, const OperationsReport& report, std::size_t width) {
  out << fmt::format("\n{} in {}\n", device.name, dtype_name(report.request.dtype));
  if (!report.problem.empty()) return put(out, "  " + report.problem, width);
  const TableColumn columns[] = {{"operation", true}, {"rows"},  {"composition"},  {"written"},
                                 {"ceiling"},         {"error"}, {"choice", true}, {"because", true}};
  std::vector<TableRow> rows;
  for (const Measured& one : report.found.operations) rows.push_back(operation_row(device, one));
  for (const std::string& line : table_lines(columns, rows, width)) out << line << "\n";
  if (report.found.graphs) {
    const GraphsFound& graphs = *report.found.graphs;
    put(out,
        fmt::format("  steps of two layers: {} eager, {} as graphs: {}, {}", short_time(graphs.eager_s),
                    short_time(graphs.graphs_s), graphs.takes_graphs ? "graphs" : "eager", graphs.why),
        width);
  }
  const std::vector<std::string> names = names_of(report.table);
  const bool all = names.size() >= std::size(ops::kOperations);
  put(out,
      "  a run takes kernels for " + (device.name == "cpu" ? "all of them, always"
                                      : all                ? "all of them"
                                      : names.empty()      ? "none of them"
                                                           : join(names, ", ")),
      width);
}

}  // namespace

std::string short_time(double seconds) {
  for (const auto& [unit, factor] : {std::pair("us", 1e6), std::pair("ms", 1e3)}) {
    const double value = seconds * factor;
    if (value < 1000) return fmt::format("{:.{}f} {}", value, value < 10 ? 2 : value < 100 ? 1 : 0, unit);
  }
  return fmt::format("{:.2f} s", seconds);
}

std::string rate_text(double flops) {
  if (flops < 1e12) return fmt::format("{:.0f} GFLOP/s", flops * 1e-9);
  return fmt::format("{:.{}f} TFLOP/s", flops * 1e-12, flops < 1e13 ? 1 : 0);
}

void show_machine(std::ostream& out, const MachineReport& report, std::size_t width) {
  out << fmt::format("finetune_tune {}, LibTorch {}\n", kVersion, TORCH_VERSION);
  show_gpus(out, report, width);
  for (const DeviceReport& device : report.devices) {
    put(out,
        fmt::format("{}: {}; {} of {} free", device.name, device.processor,
                    gigabytes(static_cast<double>(device.free_bytes)),
                    gigabytes(static_cast<double>(device.memory_bytes))),
        width);
    put(out, "  kernels of this program: " + device.kernels, width);
    if (device.name == "cpu") put(out, "  " + bfloat16_text(device), width);
    put(out, "  " + auto_text(device), width);
    put(out,
        fmt::format("  products {} in float32, {} in bfloat16; copies {}/s", rate_text(device.products.float32),
                    rate_text(device.products.bfloat16), gigabytes(device.copy_bytes)),
        width);
  }
  if (report.load >= 0.5)
    put(out,
        fmt::format("{:.1f} other threads were at work on this machine when it began: figures are too low",
                    report.load),
        width);
  out << "\n";
  put(out, "forward and backward of each operation at the sizes of " + report.shape, width);
  put(out,
      "ceiling: the time that its bytes or products need at the rates above, by what the chosen one takes (over "
      "100 %: in the caches); error: of the written kernel, as a share of the norm of what is right",
      width > 0 ? width : kPage);
  for (const DeviceReport& device : report.devices) {
    for (const OperationsReport& operations : device.operations) show_operations(out, device, operations, width);
  }
  out << "\n";
  put(out,
      is_unsound(report) ? "A kernel is wrong, or could not be tried: see above. It is not used."
                         : "Every kernel is right.",
      width);
}

}  // namespace finetune
