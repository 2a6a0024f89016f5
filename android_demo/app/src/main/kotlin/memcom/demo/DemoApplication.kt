package memcom.demo

import android.app.Application
import android.content.Context
import android.os.Handler
import android.os.Looper
import java.util.concurrent.Executor
import java.util.concurrent.ExecutorService
import java.util.concurrent.Executors

/** Holds the session, which outlives activities. */
class DemoApplication : Application() {
    /** One thread, since a ranker is for one at a time. */
    val worker: ExecutorService by lazy { Executors.newSingleThreadExecutor { Thread(it, "ranking") } }

    /** Tests put others in its place. */
    lateinit var session: Session
        internal set

    override fun onCreate() {
        super.onCreate()
        session = newSession(FileModelStore(this))
    }

    /** A session as a new process has it. */
    fun newSession(models: ModelStore): Session {
        val main = Handler(Looper.getMainLooper())
        val preferences = getSharedPreferences("memory", Context.MODE_PRIVATE)
        return Session(models, Memory(preferences), worker, Executor { main.post(it) })
    }
}
