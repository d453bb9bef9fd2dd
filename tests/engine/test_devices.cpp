// Which devices a run gets on machines that are not here: the driver and LibTorch's CUDA half are stand-ins.
#include <gtest/gtest.h>

#include "core/error.h"
#include "engine/devices.h"

namespace finetune::testing {
namespace {

Gpus machine(bool driver, const std::string& loader, int count, const std::string& words = "") {
  return look_for_gpus({.driver = [=] { return driver; },
                        .load = [=] { return loader; },
                        .count =
                            [=](std::string& problem) {
                              EXPECT_TRUE(loader.empty()) << "asked although the libraries are not there";
                              problem = words;
                              return count;
                            }});
}

std::string error_of(const std::vector<std::string>& names, const Gpus& gpus) {
  try {
    resolve_devices(names, gpus);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::bad_input);
    return error.what();
  }
  return "";
}

const std::string kLoader = "libcudnn.so.9: cannot open shared object file: No such file or directory";
const std::string kOld = "CUDA initialization: The NVIDIA driver on your system is too old (found version 12020).";

TEST(Devices, AutoTakesEveryGpuThatWorks) {
  const Gpus two = machine(true, "", 2, "a warning that did no harm");
  EXPECT_EQ(resolve_devices({}, two), (std::vector<at::Device>{{at::kCUDA, 0}, {at::kCUDA, 1}}));
  EXPECT_FALSE(note_missing_gpus({}, two));
  EXPECT_EQ(resolve_devices({"cuda:1", "cpu"}, two), (std::vector<at::Device>{{at::kCUDA, 1}, {at::kCPU}}));
  EXPECT_NE(error_of({"cuda:2"}, two).find("this machine has 2 usable CUDA devices;"), std::string::npos)
      << error_of({"cuda:2"}, two);
}

TEST(Devices, AutoSaysWhyItTakesTheCpuBesideADriver) {
  for (const auto& [gpus, words] :
       {std::pair{machine(true, kLoader, 1), kLoader}, std::pair{machine(true, "", 0, kOld), kOld},
        std::pair{machine(true, "", 0), std::string("the driver shows no device")}}) {
    EXPECT_EQ(resolve_devices({}, gpus), std::vector<at::Device>{at::kCPU});
    const auto note = note_missing_gpus({}, gpus);
    ASSERT_TRUE(note);
    EXPECT_NE(note->find(words), std::string::npos) << *note;
    EXPECT_FALSE(note_missing_gpus({"cpu"}, gpus)) << "the CPU was asked for";
    EXPECT_NE(error_of({"cuda:0"}, gpus).find(words), std::string::npos) << error_of({"cuda:0"}, gpus);
  }
}

TEST(Devices, WithoutADriverTheCpuIsNoSurprise) {
  const Gpus none = machine(false, kLoader, 0);
  EXPECT_EQ(resolve_devices({}, none), std::vector<at::Device>{at::kCPU});
  EXPECT_FALSE(note_missing_gpus({}, none));
  EXPECT_NE(error_of({"cuda:0"}, none).find(kLoader), std::string::npos) << "the reason is told to who asks for one";
}

TEST(Devices, MemoryIsAskedOfEachDeviceOnce) {
  int asked = 0;
  const auto shares = memory_shares({{at::kCUDA, 1}, {at::kCPU}, {at::kCPU}, {at::kCUDA, 0}}, [&](at::Device device) {
    ++asked;
    return device.is_cpu() ? 7 : 100 + device.index();
  });
  ASSERT_EQ(shares.size(), 3u);
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(shares[0].free, 101);
  EXPECT_EQ(shares[1].lanes, 2);
  EXPECT_EQ(shares[1].free, 7);
  EXPECT_EQ(shares[2].device, at::Device(at::kCUDA, 0));
}

}  // namespace
}  // namespace finetune::testing
