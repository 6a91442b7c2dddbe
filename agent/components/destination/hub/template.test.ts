import t from 'tap'
import { compileTemplate } from './template.ts'

t.test('fields of the row in a topic', async (t) => {
  t.equal(compileTemplate('division/village')({}), 'division/village')
  t.equal(compileTemplate('division/{level}')({ level: '村' }), 'division/村')
  t.equal(compileTemplate('{a}/{b}{a}/x')({ a: 1, b: 2n }), '1/21/x')
  t.equal(compileTemplate('a/{missing}')({}), 'a/', 'an empty level, which no topic may have')
  t.equal(compileTemplate('a/{constructor}')({}), 'a/', 'what every object inherits is no field')
  t.equal(compileTemplate('a/{none}')({ none: null }), 'a/')
  t.equal(compileTemplate('a/{}')({}), 'a/{}', 'braces with nothing in them are text')
})
