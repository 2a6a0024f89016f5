/* Runs signatures of a model on the C API that Android's libtensorflowlite_jni.so exports.
 *
 *     run_signature MODEL
 *
 * Reads requests from the standard input, numbers apart by white space:
 *     SIGNATURE INPUTS {NAME COUNT VALUES}
 * and answers each in a line: OUTPUTS {NAME COUNT VALUES}. Inputs are int32.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The headers in the AAR include others that it lacks: these are the declarations in use. */
typedef struct TfLiteModel TfLiteModel;
typedef struct TfLiteInterpreter TfLiteInterpreter;
typedef struct TfLiteSignatureRunner TfLiteSignatureRunner;
typedef struct TfLiteTensor TfLiteTensor;
enum { kTfLiteOk = 0, kTfLiteFloat32 = 1, kTfLiteInt32 = 2 };

TfLiteModel* TfLiteModelCreateFromFile(const char* path);
TfLiteInterpreter* TfLiteInterpreterCreate(const TfLiteModel* model, const void* options);
TfLiteSignatureRunner* TfLiteInterpreterGetSignatureRunner(const TfLiteInterpreter*, const char*);
int TfLiteSignatureRunnerResizeInputTensor(TfLiteSignatureRunner*, const char*, const int*, int32_t);
int TfLiteSignatureRunnerAllocateTensors(TfLiteSignatureRunner*);
TfLiteTensor* TfLiteSignatureRunnerGetInputTensor(TfLiteSignatureRunner*, const char*);
int TfLiteSignatureRunnerInvoke(TfLiteSignatureRunner*);
size_t TfLiteSignatureRunnerGetOutputCount(const TfLiteSignatureRunner*);
const char* TfLiteSignatureRunnerGetOutputName(const TfLiteSignatureRunner*, int32_t);
const TfLiteTensor* TfLiteSignatureRunnerGetOutputTensor(const TfLiteSignatureRunner*, const char*);
void TfLiteSignatureRunnerDelete(TfLiteSignatureRunner*);
int32_t TfLiteTensorNumDims(const TfLiteTensor*);
int TfLiteTensorType(const TfLiteTensor*);
size_t TfLiteTensorByteSize(const TfLiteTensor*);
void* TfLiteTensorData(const TfLiteTensor*);

enum { kMaxInputs = 4, kNameBytes = 64 };

/* Android's arm64 code reads its stack guard 0x28 behind the thread pointer, which on glibc is in
 * the first variables of threads: these. */
static __thread volatile char stack_guard[64];

static void require(int holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "run_signature: %s\n", what);
  exit(1);
}

static int read_inputs(TfLiteSignatureRunner* runner, int inputs) {
  static char names[kMaxInputs][kNameBytes];
  int32_t* values[kMaxInputs];
  int counts[kMaxInputs];
  require(inputs <= kMaxInputs, "too many inputs");
  for (int i = 0; i < inputs; ++i) {
    require(scanf("%63s %d", names[i], &counts[i]) == 2, "no input");
    values[i] = malloc(sizeof(int32_t) * counts[i]);
    for (int j = 0; j < counts[i]; ++j) require(scanf("%d", &values[i][j]) == 1, "no value");
    const TfLiteTensor* tensor = TfLiteSignatureRunnerGetInputTensor(runner, names[i]);
    require(tensor != NULL, "unknown input");
    if (TfLiteTensorNumDims(tensor) == 1) {
      require(!TfLiteSignatureRunnerResizeInputTensor(runner, names[i], &counts[i], 1), "resize");
    }
  }
  require(TfLiteSignatureRunnerAllocateTensors(runner) == kTfLiteOk, "allocate");
  for (int i = 0; i < inputs; ++i) {
    TfLiteTensor* tensor = TfLiteSignatureRunnerGetInputTensor(runner, names[i]);
    require(TfLiteTensorType(tensor) == kTfLiteInt32, "an input is not int32");
    require(TfLiteTensorByteSize(tensor) == sizeof(int32_t) * counts[i], "size of an input");
    for (int j = 0; j < counts[i]; ++j) ((int32_t*)TfLiteTensorData(tensor))[j] = values[i][j];
    free(values[i]);
  }
  return TfLiteSignatureRunnerInvoke(runner);
}

static void print_output(const TfLiteSignatureRunner* runner, int index) {
  const char* name = TfLiteSignatureRunnerGetOutputName(runner, index);
  const TfLiteTensor* tensor = TfLiteSignatureRunnerGetOutputTensor(runner, name);
  const void* data = TfLiteTensorData(tensor);
  const size_t count = TfLiteTensorByteSize(tensor) / 4;
  const int type = TfLiteTensorType(tensor);
  require(type == kTfLiteFloat32 || type == kTfLiteInt32, "type of an output");
  printf(" %s %zu", name, count);
  for (size_t i = 0; i < count; ++i) {
    if (type == kTfLiteInt32) {
      printf(" %d", ((const int32_t*)data)[i]);
    } else {
      printf(" %.9g", ((const float*)data)[i]);
    }
  }
}

int main(int argc, char** argv) {
  stack_guard[0] = 0;
  require(argc == 2, "usage: run_signature MODEL");
  const TfLiteModel* model = TfLiteModelCreateFromFile(argv[1]);
  require(model != NULL, "the model cannot be read");
  const TfLiteInterpreter* interpreter = TfLiteInterpreterCreate(model, NULL);
  require(interpreter != NULL, "no interpreter");
  char signature[kNameBytes];
  int inputs;
  while (scanf("%63s %d", signature, &inputs) == 2) {
    TfLiteSignatureRunner* runner = TfLiteInterpreterGetSignatureRunner(interpreter, signature);
    require(runner != NULL, "unknown signature");
    require(read_inputs(runner, inputs) == kTfLiteOk, "invoke");
    const int outputs = (int)TfLiteSignatureRunnerGetOutputCount(runner);
    printf("%d", outputs);
    for (int i = 0; i < outputs; ++i) print_output(runner, i);
    printf("\n");
    fflush(stdout);
    TfLiteSignatureRunnerDelete(runner);
  }
  return 0;
}
