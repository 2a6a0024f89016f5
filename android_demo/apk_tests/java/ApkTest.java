import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotEquals;
import static org.junit.Assert.assertTrue;

import android.os.Looper;
import android.view.View;
import android.widget.EditText;
import android.widget.ListView;
import android.widget.TextView;
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import memcom.core.ModelFile;
import memcom.core.RankedLists;
import memcom.core.RankerFile;
import memcom.core.Ranking;
import memcom.core.RowInputs;
import memcom.core.ScorerFile;
import memcom.demo.DemoApplication;
import memcom.demo.MainActivity;
import memcom.tflite.TfliteRanker;
import memcom.tflite.TfliteScorer;
import org.json.JSONArray;
import org.json.JSONObject;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.junit.runners.model.FrameworkMethod;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.Shadows;
import org.robolectric.internal.bytecode.InstrumentationConfiguration;

/**
 * The finished APK: its dex turned back into classes, its resources, models and native library.
 *
 * <p>In Java, since the Kotlin library that is there is what shrinking left of it.
 */
@RunWith(ApkTest.Runner.class)
public class ApkTest {
  /** A process binds a native library to one class loader, so TensorFlow Lite stays outside. */
  public static class Runner extends RobolectricTestRunner {
    public Runner(Class<?> test) throws Exception {
      super(test);
    }

    @Override
    protected InstrumentationConfiguration createClassLoaderConfig(FrameworkMethod method) {
      return new InstrumentationConfiguration.Builder(super.createClassLoaderConfig(method))
          .doNotAcquirePackage("org.tensorflow.lite.")
          .build();
    }
  }

  private final DemoApplication application = (DemoApplication) RuntimeEnvironment.getApplication();
  private MainActivity activity;

  private void settle() throws Exception {
    for (int i = 0; i < 5; ++i) {
      application.getWorker().submit(() -> {}).get(1, TimeUnit.MINUTES);
      Shadows.shadowOf(Looper.getMainLooper()).idle();
    }
  }

  private <T extends View> T view(String id) {
    return activity.findViewById(application.getResources().getIdentifier(id, "id", "memcom.demo"));
  }

  private String title(String list, int position) {
    ListView rows = view(list);
    View row = rows.getAdapter().getView(position + rows.getHeaderViewsCount(), null, rows);
    int id = application.getResources().getIdentifier("title", "id", "memcom.demo");
    return ((TextView) row.findViewById(id)).getText().toString();
  }

  @Test
  public void itStartsSearchesAndRanks() throws Exception {
    activity = Robolectric.buildActivity(MainActivity.class).setup().visible().get();
    settle();
    String best = title("ranking", 0);
    String wanted = title("ranking", 1);
    ((EditText) view("search")).setText(wanted);
    settle();
    assertEquals(wanted, title("matches", 0));
    ListView matches = view("matches");
    matches.performItemClick(null, 0, 0);
    settle();
    assertNotEquals(wanted, title("ranking", 0));
    assertNotEquals(wanted, title("ranking", 1));
    assertFalse(best.isEmpty());
    assertTrue(((TextView) view("statistics")).getText().toString().contains("ranked in"));
  }

  @Test
  public void itAnswersTheGoldenValues() throws Exception {
    File[] models = new File(System.getProperty("apk"), "assets/models").listFiles();
    assertTrue(models.length > 0);
    for (File model : models) {
      String name = model.getName().replace(".tflite", ".golden.json");
      File golden = new File(System.getProperty("models"), name);
      compare(model, json(golden));
    }
  }

  @Test
  public void itRanksByFields() throws Exception {
    for (String name : new String[] {"offers", "today"}) {
      File folder = new File(System.getProperty("fixtures"));
      compare(new File(folder, name + ".tflite"), json(new File(folder, name + ".golden.json")));
    }
  }

  @Test
  public void itScoresTheGoldenRows() throws Exception {
    File clicks = new File(System.getProperty("fixtures"), "clicks.tflite");
    JSONObject golden = json(new File(clicks.getParent(), "clicks.golden.json"));
    ScorerFile file = (ScorerFile) read(clicks);
    TfliteScorer scorer = new TfliteScorer(file, 1);
    JSONArray rows = golden.getJSONArray("rows");
    assertTrue(rows.length() > 0);
    for (int i = 0; i < rows.length(); ++i) {
      RowInputs inputs = file.getFields().encode(row(rows.getJSONObject(i)));
      JSONArray ids = golden.getJSONArray("ids").getJSONArray(i);
      for (int j = 0; j < ids.length(); ++j) assertEquals(ids.getInt(j), inputs.getIds()[j]);
      double expected = golden.getJSONArray("outputs").getDouble(i);
      assertEquals(expected, scorer.score(inputs), golden.getDouble("tolerance"));
    }
    scorer.close();
  }

  private static JSONObject json(File path) throws Exception {
    return new JSONObject(new String(Files.readAllBytes(path.toPath()), "UTF-8"));
  }

  private static ModelFile read(File model) throws Exception {
    byte[] bytes = Files.readAllBytes(model.toPath());
    ByteBuffer content = ByteBuffer.allocateDirect(bytes.length).order(ByteOrder.nativeOrder());
    content.put(bytes).rewind();
    return ModelFile.Companion.read(content);
  }

  private static void compare(File model, JSONObject golden) throws Exception {
    RankerFile file = read(model).ranker();
    TfliteRanker ranker = new TfliteRanker(file, 1);
    RankedLists lists = new RankedLists(file, ranker);
    for (String kind : new String[] {"cases", "lists"}) {
      JSONArray examples = golden.getJSONArray(kind);
      assertTrue(examples.length() > 0);
      for (int i = 0; i < examples.length(); ++i) {
        JSONObject example = examples.getJSONObject(i);
        Ranking ranking =
            lists.rank(
                ids(example.getJSONArray("history")),
                example.optInt("k", file.getDescription().getListLength()),
                example.has("exclude") ? ids(example.getJSONArray("exclude")) : new ArrayList<>(),
                kind.equals("cases") || example.isNull("candidates")
                    ? null
                    : ids(example.getJSONArray("candidates")),
                row(example.optJSONObject("row")));
        compare(model.getName() + ", " + kind + " " + i, example, ranking, golden);
      }
    }
    ranker.close();
  }

  private static void compare(String what, JSONObject example, Ranking ranking, JSONObject golden)
      throws Exception {
    JSONArray expected = example.getJSONArray("scores");
    float[] scores = new float[expected.length()];
    for (int j = 0; j < scores.length; ++j) scores[j] = (float) expected.getDouble(j);
    float tolerance = (float) golden.getDouble("tolerance") * Math.max(1, Math.abs(scores[0]));
    assertArrayEquals(what, scores, ranking.getScores(), tolerance);
    for (int j = 0; j < scores.length; ++j) {
      // Equal scores may change places.
      boolean apart = j + 1 < scores.length && scores[j] - scores[j + 1] > tolerance
          && (j == 0 || scores[j - 1] - scores[j] > tolerance);
      if (apart) assertEquals(what, example.getJSONArray("ids").getInt(j), ranking.getIds()[j]);
    }
  }

  private static List<Integer> ids(JSONArray values) throws Exception {
    List<Integer> ids = new ArrayList<>();
    for (int i = 0; i < values.length(); ++i) ids.add(values.getInt(i));
    return ids;
  }

  private static Map<String, Object> row(JSONObject given) throws Exception {
    Map<String, Object> row = new HashMap<>();
    if (given == null) return row;
    for (Iterator<String> names = given.keys(); names.hasNext(); ) {
      String name = names.next();
      row.put(name, given.isNull(name) ? null : given.get(name));
    }
    return row;
  }
}
