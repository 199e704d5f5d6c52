"""Words by which hints tell what a phrase says beside the trait: how long texts are, and what kind of text they are.

In the languages that authors of models write most; a language that is not here gets no hint of that kind.
"""

from collections.abc import Mapping

SHORT = frozenset(
    "short brief one-line one-sentence two-line kurz kurze kurzer kurzes kurzen knapp knappe knapper court courte "
    "courts courtes bref brève brefs brèves corto corta cortos cortas breve breves brevi curto curta curtos "
    "curtas corti corte kort korte krótki krótka krótkie короткий короткая короткие kısa 短い 短く 짧은 छोटा छोटी छोटे "
    "संक्षिप्त".split()
)
LONG = frozenset(
    "long lengthy lang lange langer langes langen long longue longs longues largo larga largos largas longo longa "
    "longos longas lungo lunga lunghi lunghe długi długa długie длинный длинная длинные uzun 長い 長く 긴 लंबा लंबी "
    "लंबे लम्बा लम्बी लम्बे".split()
)
# Words that say of a trait that it is about length.
LENGTH_NAMES = frozenset(
    "length short shortness brevity long concise conciseness wordy wordiness verbose länge kürze longueur "
    "brièveté longitud brevedad comprimento lunghezza lengte długość длина uzunluk 長さ 길이 लंबाई".split()
)
# A short sentence or word is manner; a short text is length.
PARTS_OF_TEXTS = frozenset(
    "word words sentence sentences clause clauses phrase phrases paragraph paragraphs line lines wort wörter "
    "worten satz sätze sätzen mot mots frase frases palabra palabras oración oraciones parola parole frasi woord "
    "woorden zin zinnen słowa zdania слова предложения kelime cümle 文 語 単語 "
    "言葉 문장 단어 वाक्य वाक्यों शब्द शब्दों".split()
)
# Kinds of text, each with its names. Of one name for several kinds, as "message" and "note" are, nothing follows.
FORMS: Mapping[str, frozenset[str]] = {
    kind: frozenset(names.split())
    for kind, names in {
        "a mail": "email emails e-mail e-mails mail mails courriel courriels correo correos メール ईमेल",
        "a letter": "letter letters briefe briefen lettre lettres carta cartas lettera lettere 手紙 पत्र",
        "a post": "tweet tweets post posts ツイート 投稿",
        "a review": "review reviews rezension rezensionen reseña reseñas recensione レビュー समीक्षा",
        "a report": "report reports bericht berichte rapport rapports informe informes 報告書 रिपोर्ट",
        "a chat": "chat chats チャット",
        "an article": "article articles artikel artículo artículos articolo articoli 記事 लेख",
        "a poem": "poem poems gedicht gedichte poème poèmes poema poemas 詩 कविता",
        "a story": "story stories märchen erzählung erzählungen conte contes cuento cuentos 物語 कहानी",
        "an advert": "advert adverts advertisement advertisements anzeige anzeigen publicité anuncio 広告 विज्ञापन",
        "a contract": "contract contracts vertrag verträge contrat contrats contrato contratos 契約書",
        "a speech": "speech speeches rede reden discours discurso discursos 演説 भाषण",
        "an essay": "essay essays aufsatz aufsätze ensayo ensayos エッセイ निबंध",
        "a manual": "manual manuals handbuch handbücher manuel manuels manuales マニュアル",
        "a recipe": "recipe recipes rezept rezepte recette recettes receta recetas レシピ",
        "a headline": "headline headlines schlagzeile schlagzeilen titular titulares 見出し",
    }.items()
}
# What tells the name of a kind of text from a verb of the same letters: an article before it, or a word after it.
ARTICLES = frozenset(
    "a an the ein eine einen einem einer der die das un une le la les l' el los las uno una il lo um uma".split()
)
LINKS = frozenset("of from with full by to mit von voller aus de des du avec con por para di da".split())
RELATIVES = frozenset("that which who in die der das welche in qui dont où que donde che".split())
VERBS = frozenset("emails mails posts tweets reviews reports chats contracts headlines".split())
# What the brief speaks of whatever it says: texts, and the act of judging them.
GENERIC = frozenset(
    "text texts reply replies answer answers message messages letter letters mail mails note notes "
    "report reports review reviews comment comments ticket tickets wording writing writer author judge "
    "judging judged judgement rate rating score scoring reward rewarding measure measuring assess "
    "assessing evaluate evaluating punish punishing penalise penalising penalize penalizing whether kind "
    "kinds sort level degree much texte texten antwort antworten nachricht nachrichten brief briefe "
    "bewerten bewertung beurteilen beurteilung messen réponse réponses lettre lettres juger noter "
    "évaluer évaluation texto textos respuesta respuestas mensaje mensajes juzgar evaluar evaluación "
    "puntuar 文章 テキスト 返信 返事 メッセージ 評価 評価する 判断 判断する する こと पाठ उत्तर संदेश "
    "पत्र जाँचना आँकना मूल्यांकन".split()
)
# What parts two things that are named in one breath.
CONJUNCTIONS = frozenset("or and nor oder und noch ou et ni o y e u või lub i или и ya ve veya や と か और या".split())
