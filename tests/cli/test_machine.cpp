// The verbs that measure this machine: doctor and bench, and the process that doctor starts of itself.
#include <gtest/gtest.h>

#include "cli/program.h"

namespace finetune::testing {
namespace {

using Json = nlohmann::ordered_json;

// The one JSON object on stdout; what is said goes to stderr.
Json json_of(const std::string& arguments) {
  const Outcome outcome = run_command("'" + program_path() + "' " + arguments + " --json 2>/dev/null");
  EXPECT_EQ(outcome.code, 0) << arguments;
  return Json::parse(outcome.text, nullptr, false);
}

class Machine : public ::testing::Test {
 protected:
  const Fixture files_;
};

TEST_F(Machine, DoctorFindsEveryKernelRight) {
  const Json report = json_of("doctor --model '" + files_.path("model") + "'");
  ASSERT_TRUE(report.is_object());
  EXPECT_EQ(report["sound"], true);
  const Json& cpu = report["devices"][0];
  EXPECT_EQ(cpu["name"], "cpu");
  for (const char* key : {"copy_bytes_per_second", "float32_flops", "bfloat16_flops", "free_bytes", "memory_bytes"})
    EXPECT_GT(cpu[key].get<double>(), 0) << key;
  const std::string unit = cpu["bfloat16_unit"], flags = read_file("/proc/cpuinfo");
  const bool may_have_one =
      flags.find(" amx_bf16") != std::string::npos || flags.find(" avx512_bf16") != std::string::npos;
  EXPECT_TRUE(may_have_one || unit.empty()) << unit;
  EXPECT_EQ(cpu["auto_dtype"], "float32") << "the model is narrow";
  EXPECT_NE(cpu["auto_why"].get<std::string>().find(unit.empty() ? "no instructions for bfloat16" : "too narrow"),
            std::string::npos)
      << cpu["auto_why"];
  ASSERT_EQ(cpu["measured"].size(), 1u) << "float32: what a CPU computes in between products";
  const Json& measured = cpu["measured"][0];
  EXPECT_EQ(measured["problem"], "");
  EXPECT_EQ(measured["found"]["operations"].size(), 17u);
  for (const Json& row : measured["found"]["operations"]) {
    EXPECT_EQ(row["wrong"], false) << row;
    EXPECT_LE(row["error"].get<double>(), 1e-5) << row;
    EXPECT_GT(row["written_seconds"].get<double>(), 0) << row;
    EXPECT_GT(row["share_of_ceiling"].get<double>(), 0) << row;
  }
}

TEST_F(Machine, DoctorSaysItInTenDozenColumns) {
  const Outcome outcome =
      run_command("'" + program_path() + "' doctor --model '" + files_.path("model") + "' 2>/dev/null");
  EXPECT_EQ(outcome.code, 0);
  for (const char* said :
       {"\nGPUs: ", "\ncpu: ", "\n  bfloat16 products: ", "\n  model.dtype auto: float32: ", "products ",
        "\ncpu in float32\n", "  rmsnorm ", "  unpacking ", "a run takes kernels for ", "\nEvery kernel is right.\n"})
    EXPECT_NE(outcome.text.find(said), std::string::npos) << said << "\n" << outcome.text;
  std::size_t begin = 0;
  for (std::size_t end = outcome.text.find('\n'); end != std::string::npos; end = outcome.text.find('\n', begin)) {
    EXPECT_LE(end - begin, 120u) << outcome.text.substr(begin, end - begin);
    begin = end + 1;
  }
}

TEST_F(Machine, TheProgramsOwnVerbIsInNoList) {
  const Outcome overview = run("--help"), unknown = run("xyz");
  EXPECT_NE(overview.text.find("  doctor "), std::string::npos);
  EXPECT_NE(overview.text.find("  bench "), std::string::npos);
  EXPECT_EQ(overview.text.find("calibrate"), std::string::npos) << overview.text;
  EXPECT_EQ(unknown.code, 2);
  EXPECT_EQ(unknown.text.find("calibrate"), std::string::npos) << unknown.text;
  const Outcome empty = run("calibrate --request '{}' --result '" + files_.path("result") + "'");
  EXPECT_EQ(empty.code, 2);
  EXPECT_NE(empty.text.find("--request: a request to calibrate has no dtype"), std::string::npos) << empty.text;
}

TEST_F(Machine, BenchMeasuresBothWays) {
  const std::string own = "--model '" + files_.path("model") + "'";
  for (const std::string& model : std::vector<std::string>{"--shape tiny --ranks 8,16", own}) {
    const Json report =
        json_of("bench --set model.dtype=float32 --trials 3 --batch 2 --seconds 1 --length 16 " + model);
    ASSERT_TRUE(report.is_object()) << model;
    EXPECT_EQ(report["kernels"], Json({"written"}));
    EXPECT_EQ(report["dtype"], "float32");
    EXPECT_TRUE(report["goal"].is_null());
    EXPECT_GT(report["flops_per_token"].get<double>(), 0);
    for (const char* side : {"packed", "one_by_one"}) {
      const Json& speed = report[side];
      EXPECT_GT(speed["tokens_per_second"].get<double>(), 0);
      EXPECT_EQ(speed["finite"], true);
      EXPECT_GE(speed["steps"].get<int>(), 2);
      EXPECT_GT(speed["gradient_norm"].get<double>(), 0) << "it trains";
      const double share = speed["tokens_per_second"].get<double>() * report["flops_per_token"].get<double>() /
                           report["product_flops"].get<double>();
      EXPECT_NEAR(speed["share_of_products"].get<double>(), share, 1e-9);
    }
    const Json& packed = report["packed"];
    EXPECT_EQ(packed["tokens"].get<std::int64_t>(), packed["steps"].get<std::int64_t>() * 3 * 2 * 16)
        << "a step of all three trials, of two rows of 16 tokens";
    EXPECT_EQ(report["quantize"], "none");
    EXPECT_EQ(report["method"], "lora");
  }
}

TEST_F(Machine, BenchSaysWhatToSendBack) {
  const Outcome outcome = run("bench --shape tiny --trials 2 --seconds 1 --set run.lanes=1 --devices cpu");
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  for (const char* said :
       {"packed, 2 trials ", "one by one ", "packed over one by one: ", "there is no goal for a model of this size",
        "to send it back: finetune_tune bench --set run.lanes=1 --devices cpu --shape tiny --trials 2 --seconds 1 "
        "--json > "
        "bench.json"})
    EXPECT_NE(outcome.text.find(said), std::string::npos) << said << "\n" << outcome.text;
}

TEST_F(Machine, BenchRefusesInOneLine) {
  for (const auto& [arguments, said] : std::vector<std::pair<std::string, std::string>>{
           {"", "give --model DIR, or --shape NAME: tiny, "},
           {"--shape tiny --model '" + files_.path("model") + "'",
            "a model (--model, model.path) and --shape are both given"},
           {"--shape qwen", "--shape: qwen is not one of tiny, smollm2-135m"},
           {"--shape tiny --trials 0", "--trials 0: expected a whole number from 1 to 1024"},
           {"--shape tiny --length 20-10", "--length 20-10: 10: expected a whole number from 20"},
           {"--shape tiny --ranks 8,x", "--ranks x: expected a whole number"},
           {"--shape tiny --ranks 8,", "--ranks : expected a whole number"},
           {"--shape tiny --trials 2 --ranks 8,16,32", "--ranks names 3 ranks for 2 trials"},
           {"--shape tiny --set train.method=full --ranks 8", "--ranks has no meaning with train.method: full"},
           {"--shape tiny --set train.objective=dpo",
            "train.objective has no meaning for bench, which reads model.*, "},
           {"--shape tiny --set 'run.kernels=[glu, glu]'", "run.kernels: glu is named twice"},
           {"--shape tiny --set 'run.kernels=[glu, auto]'", "run.kernels: auto stands alone"},
           {"--shape tiny --seconds none", "--seconds none: expected"},
           {"--model '" + files_.path("none") + "'", "none"},
           {"--model '" + files_.path("model") + "' --length 100000", "--length 100000: "},
           {"--shape llama-3.1-8b --trials 1024 --set train.lora.rank=256 --set model.dtype=float32",
            "llama-3.1-8b in float32 with 1024 trials needs "}}) {
    const Outcome outcome = run("bench " + arguments);
    EXPECT_EQ(outcome.code, 2) << arguments << "\n" << outcome.text;
    EXPECT_NE(outcome.text.find(said), std::string::npos) << said << "\n" << outcome.text;
    EXPECT_EQ(std::count(outcome.text.begin(), outcome.text.end(), '\n'), 1) << outcome.text;
  }
  const Outcome outcome = run("bench --shape llama-3.1-8b --trials 1024 --set train.lora.rank=256");
  EXPECT_NE(outcome.text.find(" would fit"), std::string::npos) << outcome.text;
}

TEST_F(Machine, DoctorLooksAtTheWholeMachine) {
  const Outcome outcome = run("doctor --set run.devices=cpu");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.text.find("run.devices has no meaning for doctor, which reads model.path, train.lora.rank"),
            std::string::npos)
      << outcome.text;
}

// Whoever sends what it prints to a file must hear that the file is not whole.
TEST_F(Machine, ADiskThatIsFullForWhatIsPrintedIsAnError) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "there is no /dev/full";
  for (const char* what : {"--version", "tune --help", "check --model none"}) {
    const Outcome outcome = run_command("'" + program_path() + "' " + what + " 2>&1 >/dev/full");
    EXPECT_NE(outcome.code, 0) << what;
    EXPECT_EQ(outcome.code == 1, outcome.text.find("stdout: No space left on device") != std::string::npos)
        << outcome.text;
  }
}

// What a calibration chose is a list in run.yaml, and is replayed from there and from best.yaml.
TEST_F(Machine, ATableOfKernelsIsKeptWithTheRun) {
  const Outcome tuned = run("tune " + files_.tune("--set 'run.kernels=[rmsnorm, glu, entropy]' --set run.lanes=1"));
  ASSERT_EQ(tuned.code, 0) << tuned.text;
  for (const char* file : {"out/run.yaml", "out/best.yaml"})
    EXPECT_NE(files_.read(file).find("kernels: [rmsnorm, glu, entropy]"), std::string::npos) << files_.read(file);
  EXPECT_NE(files_.read("out/report.json").find("rmsnorm, glu, entropy"), std::string::npos);
  const auto train = [&](const std::string& out, const std::string& more) {
    const Outcome trained =
        run("train --config '" + files_.path("out/best.yaml") + "' --out '" + files_.path(out) + "' " + more);
    EXPECT_EQ(trained.code, 0) << trained.text;
    return files_.read(out + "/adapter/adapter_model.safetensors");
  };
  const std::string again = train("again", "");
  EXPECT_EQ(again, files_.read("out/best/adapter_model.safetensors"));
  EXPECT_NE(files_.read("again/run.yaml").find("kernels: [rmsnorm, glu, entropy]"), std::string::npos);
  EXPECT_NE(again, train("other", "--set run.kernels=written")) << "the test could not see a table that is not used";
}

TEST_F(Machine, AWrongNameOfAKernelIsRefused) {
  for (const char* value : {"fastest", "[rmsnorm, written]", "[]"}) {
    const Outcome outcome = run("tune " + files_.tune(std::string("--set 'run.kernels=") + value + "'"));
    EXPECT_EQ(outcome.code, 2) << outcome.text;
    EXPECT_NE(outcome.text.find("run.kernels"), std::string::npos) << outcome.text;
  }
}

}  // namespace
}  // namespace finetune::testing
