package androidx.test.internal.platform.util

object TestOutputEmitter {
    @JvmStatic
    @Suppress("UNUSED_PARAMETER")
    fun dumpThreadStates(file: String?) = Unit
}
