package io.forebay.core.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.codec.RecordCodec;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class ImageNewsTest {
  private static final RecordCodec<ImageNews> CODEC = RecordCodec.of(ImageNews.class);

  private static ImageNews sent(ImageNews news) {
    return CODEC.decode(CODEC.encode(news));
  }

  /** Images of a cluster whose nodes come, go, lose disks and are forgotten. */
  private static List<ClusterImage> history(long seed) {
    var random = new Random(seed);
    var fixture = new ClusterFixture(4);
    var images = new ArrayList<ClusterImage>();
    images.add(fixture.machine.image());
    for (int i = 0; i < 6; i++) {
      fixture.register("n" + i, 10L * i + 1, 10L * i + 2);
      images.add(fixture.machine.image());
    }
    fixture.bucket(3, 2);
    images.add(fixture.machine.image());
    for (int step = 0; step < 60; step++) {
      int i = random.nextInt(6);
      switch (random.nextInt(4)) {
        case 0 -> fixture.expel("n" + i);
        case 1 -> fixture.registerIn("n" + i, "", random.nextInt(3), 10L * i + 1, 10L * i + 2);
        case 2 -> fixture.registerIn("n" + i, "", 1, 10L * i + 3 + random.nextInt(3));
        default -> fixture.apply(new ClusterCommand.ReplaceLost(random.nextInt(2)));
      }
      images.add(fixture.machine.image());
    }
    return images;
  }

  @Test
  void whatDiffersMakesTheLaterImageOutOfTheEarlierOne() {
    for (long seed = 1; seed <= 20; seed++) {
      List<ClusterImage> images = history(seed);
      for (int i = 0; i < images.size(); i++) {
        for (int k = i; k < images.size(); k += 7) {
          ClusterImage earlier = images.get(i);
          ClusterImage later = images.get(k);
          assertThat(sent(ImageNews.Change.between(earlier, later)).after(earlier)).contains(later);
        }
      }
    }
  }

  @Test
  void aChangeSaysNothingToWhoKnowsAnotherImage() {
    List<ClusterImage> images = history(1);
    ImageNews.Change change = ImageNews.Change.between(images.get(3), images.get(4));
    assertThat(change.after(images.get(2))).isEmpty();
    assertThat(change.after(images.get(5))).isEmpty();
  }

  @Test
  void aWholeImageIsForEverybody() {
    List<ClusterImage> images = history(1);
    assertThat(sent(new ImageNews.Whole(images.getLast())).after(ClusterImage.EMPTY))
        .contains(images.getLast());
  }

  @Test
  void whatDoesNotDifferIsNotSent() {
    var fixture = new ClusterFixture(32);
    for (int i = 0; i < 50; i++) {
      fixture.register("n" + i, i + 1);
    }
    fixture.bucket(3, 2);
    ClusterImage before = fixture.machine.image();
    fixture.register("late", 1_000);
    ClusterImage after = fixture.machine.image();
    int change = CODEC.encode(ImageNews.Change.between(before, after)).length;
    assertThat(change * 8).isLessThan(CODEC.encode(new ImageNews.Whole(after)).length);
  }
}
