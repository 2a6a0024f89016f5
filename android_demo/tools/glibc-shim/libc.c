/* What Android's C library does otherwise than glibc, for libraries that run on the host. */
#define _GNU_SOURCE
#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "replaced.h"

/* The standard streams are elements of an array there, of 152 bytes each on 64-bit machines. */
#define STREAM_BYTES 152
char bionic___sF[3 * STREAM_BYTES];

static FILE* host_stream(void* stream) {
  FILE* streams[] = {stdin, stdout, stderr};
  for (int i = 0; i < 3; ++i) {
    if ((char*)stream == bionic___sF + i * STREAM_BYTES) return streams[i];
  }
  return stream;
}

int bionic_fputc(int c, void* stream) { return fputc(c, host_stream(stream)); }
int bionic_fileno(void* stream) { return fileno(host_stream(stream)); }
int bionic_fclose(void* stream) { return fclose(host_stream(stream)); }
int bionic_fflush(void* stream) { return fflush(stream ? host_stream(stream) : NULL); }

size_t bionic_fread(void* to, size_t size, size_t count, void* stream) {
  return fread(to, size, count, host_stream(stream));
}

size_t bionic_fwrite(const void* from, size_t size, size_t count, void* stream) {
  return fwrite(from, size, count, host_stream(stream));
}

int bionic_vfprintf(void* stream, const char* format, va_list arguments) {
  return vfprintf(host_stream(stream), format, arguments);
}

int bionic_fprintf(void* stream, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int written = vfprintf(host_stream(stream), format, arguments);
  va_end(arguments);
  return written;
}

int* bionic___errno(void) { return &errno; }

extern int __xpg_strerror_r(int, char*, size_t);
int bionic_strerror_r(int number, char* text, size_t size) {
  return __xpg_strerror_r(number, text, size);
}

size_t bionic___strlen_chk(const char* text, size_t size) {
  (void)size;
  return strlen(text);
}

/* The masks of categories have other values; libraries ask for all of them. */
locale_t bionic_newlocale(int mask, const char* name, locale_t base) {
  (void)mask;
  return newlocale(LC_ALL_MASK, name, base);
}

/* So have the names of limits. */
long bionic_sysconf(int name) {
  switch (name) {
    case 0x27:
    case 0x28:
      return sysconf(_SC_PAGESIZE);
    case 0x60:
      return sysconf(_SC_NPROCESSORS_CONF);
    case 0x61:
      return sysconf(_SC_NPROCESSORS_ONLN);
    case 0x62:
      return sysconf(_SC_PHYS_PAGES);
    case 0x63:
      return sysconf(_SC_AVPHYS_PAGES);
    default:
      errno = EINVAL;
      return -1;
  }
}

/* There are no system properties on the host. */
int bionic___system_property_get(const char* name, char* value) {
  (void)name;
  value[0] = '\0';
  return 0;
}

void bionic_android_set_abort_message(const char* message) {
  fprintf(stderr, "abort: %s\n", message ? message : "");
}
