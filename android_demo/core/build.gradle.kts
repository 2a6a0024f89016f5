plugins {
    alias(libs.plugins.kotlin.jvm)
    `maven-publish`
}

kotlin { jvmToolchain(17) }

dependencies {
    implementation(libs.gson)
    testImplementation(libs.junit)
}

publishing {
    repositories { maven(rootProject.file("../build/android/maven")) }
    publications {
        register<MavenPublication>("library") {
            artifactId = "memcom-core"
            from(components["java"])
        }
    }
}
