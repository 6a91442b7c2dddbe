import t from 'tap'
import { patternCovers, patternProblem, TopicTree, topicMatches } from './topics.ts'

t.test('one level and many levels', (t) => {
  const cases: [string, string, boolean][] = [
    ['division/village', 'division/village', true],
    ['division/+', 'division/village', true],
    ['division/+', 'division/village/4452', false],
    ['division/+', 'division', false],
    ['division/#', 'division', true],
    ['division/#', 'division/village/4452', true],
    ['#', '公文/收文', true],
    ['+/收文', '公文/收文', true],
    ['+/#', 'a', true],
    ['a/+/c', 'a/b/c', true],
    ['a/+/c', 'a/b/d', false],
  ]
  for (const [pattern, topic, fits] of cases) {
    t.equal(topicMatches(pattern, topic), fits, `${pattern} and ${topic}`)
    const tree = new TopicTree<number>()
    tree.add('x/y/z', 0)
    tree.add(pattern, 1)
    t.same(tree.match(topic), fits ? [1] : [], `tree: ${pattern} and ${topic}`)
  }
  t.end()
})

t.test('what is not a pattern says why', (t) => {
  t.equal(patternProblem('a/+/b/#'), null)
  for (const wrong of ['', 'a//b', '/a', 'a/', 'a/#/b', 'a/b+', '#a', 'a/\u0001', 'x'.repeat(256)]) {
    t.type(patternProblem(wrong), 'string', JSON.stringify(wrong))
  }
  t.end()
})

t.test('a right covers only what it includes', (t) => {
  t.ok(patternCovers('#', 'a/#'))
  t.ok(patternCovers('a/#', 'a/+/c'))
  t.ok(patternCovers('a/+', 'a/b'))
  t.notOk(patternCovers('a/+', 'a/#'))
  t.notOk(patternCovers('a/b', 'a/+'))
  t.notOk(patternCovers('a/#', '#'))
  t.notOk(patternCovers('a/b/c', 'a/b'))
  t.end()
})
