package io.forebay.app.command;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.file.ListPage;
import io.forebay.core.file.ListQuery;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

final class DataCommandsTest {
  /**
   * So that {@code rm -r} deletes a page before it asks for the next, and holds no more than one.
   */
  @Test
  void aPageIsAskedForWhenTheLastOneIsDoneWithHoweverManyThereAre() {
    int last = 30_000;
    var asked = new ArrayList<Integer>();
    int seen = 0;
    var pages = DataCommands.pages(query -> page(query, last, asked), "run/").iterator();
    while (pages.hasNext()) {
      pages.next();
      assertThat(asked).last().isEqualTo(seen);
      seen++;
    }
    assertThat(seen).isEqualTo(last + 1);
    assertThat(asked).hasSize(last + 1);
  }

  private static ListPage page(ListQuery query, int last, List<Integer> asked) {
    assertThat(query.prefix()).isEqualTo("run/");
    int number = query.startAfter().isEmpty() ? 0 : Integer.parseInt(query.startAfter());
    asked.add(number);
    return new ListPage(
        List.of(),
        List.of(),
        number == last ? Optional.empty() : Optional.of(Integer.toString(number + 1)));
  }
}
