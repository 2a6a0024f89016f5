package androidx.test.platform.app

import android.app.Instrumentation
import android.os.Bundle

object InstrumentationRegistry {
    private var instrumentation: Instrumentation? = null
    private var arguments = Bundle.EMPTY

    @JvmStatic
    fun registerInstance(instance: Instrumentation?, bundle: Bundle?) {
        instrumentation = instance
        arguments = bundle ?: Bundle.EMPTY
    }

    @JvmStatic
    fun getInstrumentation(): Instrumentation = checkNotNull(instrumentation)

    @JvmStatic
    fun getArguments() = Bundle(arguments)
}
