// A pass whose options come from a table and whose body is a Rust function.
#include "CAPI/Tpuc.h"
#include "Top/Top.h"
#include "Tpu/Tpu.h"
#include "mlir/CAPI/IR.h"
#include "mlir/CAPI/Support.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassRegistry.h"

namespace {

class RustPass : public mlir::Pass {
public:
  explicit RustPass(const TpucPass *description)
      : Pass(mlir::TypeID::getFromOpaquePointer(description), operationName(description)), description(description) {
    addOptions();
  }
  RustPass(const RustPass &other) : Pass(other), description(other.description) { addOptions(); }

  llvm::StringRef getName() const override { return unwrap(description->argument); }
  llvm::StringRef getArgument() const override { return unwrap(description->argument); }
  llvm::StringRef getDescription() const override { return unwrap(description->summary); }
  std::unique_ptr<mlir::Pass> clonePass() const override { return std::make_unique<RustPass>(*this); }

  bool canScheduleOn(mlir::RegisteredOperationName name) const override {
    llvm::StringRef wanted = unwrap(description->opName);
    return wanted.empty() || name.getStringRef() == wanted;
  }

  void getDependentDialects(mlir::DialectRegistry &registry) const override {
    registry.insert<tpuc::top::TopDialect, tpuc::tpu::TpuDialect, mlir::quant::QuantDialect>();
  }

  void runOnOperation() override {
    std::vector<std::string> texts;
    for (intptr_t i = 0, flag = 0, text = 0; i < description->optionCount; ++i)
      texts.push_back(description->options[i].isFlag ? (flags[flag++]->getValue() ? "true" : "false") : strings[text++]->getValue());
    std::vector<MlirStringRef> values;
    for (const std::string &text : texts)
      values.push_back(wrap(llvm::StringRef(text)));
    if (!description->run(description->data, wrap(getOperation()), values.data(), values.size()))
      signalPassFailure();
  }

private:
  static std::optional<llvm::StringRef> operationName(const TpucPass *description) {
    llvm::StringRef name = unwrap(description->opName);
    if (name.empty())
      return std::nullopt;
    return name;
  }

  void addOptions() {
    for (intptr_t i = 0; i < description->optionCount; ++i) {
      const TpucPassOption &option = description->options[i];
      llvm::StringRef name = unwrap(option.name), value = unwrap(option.defaultValue);
      auto text = llvm::cl::desc(unwrap(option.description));
      if (option.isFlag)
        flags.push_back(std::make_unique<Option<bool>>(*this, name, text, llvm::cl::init(value == "true")));
      else
        strings.push_back(std::make_unique<Option<std::string>>(*this, name, text, llvm::cl::init(value.str())));
    }
  }

  const TpucPass *description;
  std::vector<std::unique_ptr<Option<bool>>> flags;
  std::vector<std::unique_ptr<Option<std::string>>> strings;
};

} // namespace

void tpucRegisterPass(const TpucPass *pass) {
  mlir::registerPass([pass] { return std::make_unique<RustPass>(pass); });
}
