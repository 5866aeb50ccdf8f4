#include "probe.h"

/* A line of a script as words: separated by blanks, with `,` and `=` as words of their own, `#` at a word's start a comment. */

char *words[MOST_WORDS];
u64 word_count, word_at;

void split(char *line)
{
  static char store[4096 + 1024];
  char *to = store;
  word_count = word_at = 0;
  while (*line != 0 && to < store + sizeof store - 2 && word_count < MOST_WORDS) {
    char letter = *line;
    if (letter == ' ' || letter == '\t' || letter == '\r') {
      line++;
      continue;
    }
    if (letter == '#')
      break;
    words[word_count++] = to;
    if (letter == ',' || letter == '=')
      *to++ = *line++;
    else
      while (*line != 0 && find(" \t\r,=", *line) == 0 && to < store + sizeof store - 1)
        *to++ = *line++;
    *to++ = 0;
  }
}

int more(void)
{
  return word_at < word_count;
}

char *next(void)
{
  if (!more())
    die("the line ends too early");
  return words[word_at++];
}

int accept(const char *word)
{
  if (!more() || !same(words[word_at], word))
    return 0;
  word_at++;
  return 1;
}

int same(const char *a, const char *b)
{
  while (*a != 0 && *a == *b)
    a++, b++;
  return *a == *b;
}

int starts(const char *text, const char *with)
{
  while (*with != 0)
    if (*text++ != *with++)
      return 0;
  return 1;
}

/* The first place of a letter in a text, or null. */
char *find(const char *text, char letter)
{
  for (; *text != 0; text++)
    if (*text == letter)
      return (char *)text;
  return 0;
}

int is_number(const char *text)
{
  if (*text == '-')
    text++;
  return *text >= '0' && *text <= '9';
}

/* Decimal or 0x, underscores between digits, two's complement for a sign. */
u64 number_of(const char *text)
{
  int negative = *text == '-';
  u64 base = 10, number = 0;
  if (negative)
    text++;
  if (text[0] == '0' && (text[1] | 0x20) == 'x') {
    base = 16;
    text += 2;
  }
  for (; *text != 0; text++) {
    u64 digit = *text >= '0' && *text <= '9' ? (u64)(*text - '0') : (u64)((*text | 0x20) - 'a' + 10);
    if (*text == '_')
      continue;
    if (digit >= base)
      die("no number");
    number = number * base + digit;
  }
  return negative ? -number : number;
}

void *memset(void *to, int byte, u64 bytes)
{
  void *start = to;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(byte) : "memory");
  return start;
}

void *memcpy(void *to, const void *from, u64 bytes)
{
  void *start = to;
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
  return start;
}
